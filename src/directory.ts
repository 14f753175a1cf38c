import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';

import { systemCode } from './errors.ts';

/** What is in a directory; nothing where there is none. @throws where it cannot be read */
export async function entriesOf(directory: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}
