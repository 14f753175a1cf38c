import { isAbsolute } from 'node:path';

import { z } from 'zod';

/** Path of a file beside the rules: it leads nowhere but below their directory. */
export const pathBeside = z
  .string()
  .min(1)
  .max(512)
  .refine(
    (path) => !isAbsolute(path) && !path.split(/[\\/]/u).includes('..') && !path.includes('\0'),
    'expected a path below the directory of this file',
  );
