import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

const OWN_FILES = '/proc/self/fd';

/** How often this process has the file open. */
export async function timesOpen(path: string): Promise<number> {
  const names = await readdir(OWN_FILES);
  // One that is gone by now is not open.
  const targets = await Promise.all(names.map((name) => readlink(join(OWN_FILES, name)).catch(() => '')));
  return targets.filter((target) => target === path).length;
}
