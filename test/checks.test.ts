import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Ended {
  readonly code?: number;
  readonly stdout: string;
  readonly stderr: string;
}

// The parts of `npm run check`, so that `npm test` alone tells whether a change may land.
it.each(['format', 'lint', 'types', 'imports'])(
  'npm run check:%s finds nothing',
  { timeout: 180_000 },
  async (part) => {
    const ended = await promisify(execFile)('npm', ['run', '--silent', `check:${part}`], {
      cwd: root,
      maxBuffer: 2 ** 26,
    }).catch((error: unknown) => error as Ended);
    expect('code' in ended ? `${ended.stdout}${ended.stderr}` : 'nothing').toBe('nothing');
  },
);
