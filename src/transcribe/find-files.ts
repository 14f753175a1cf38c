import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';

import { CallscribeError, systemCode } from '../errors.ts';

/** What is taken from a directory; a file that is named itself is tried whatever its ending. */
const AUDIO_ENDINGS = new Set(
  ['wav', 'mp3', 'pcm', 'opus', 'ogg', 'spx', 'aac', 'amr', 'alaw', 'ulaw'].map((ending) => `.${ending}`),
);

/** A file to be transcribed, or why it cannot be. */
export type FoundFile =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'fault'; readonly path: string; readonly error: CallscribeError };

/** Files as they were named, and those of directories and what is below them, by name. */
export async function findFiles(paths: readonly string[]): Promise<readonly FoundFile[]> {
  const found: FoundFile[] = [];
  for (const path of paths) {
    try {
      if ((await stat(path)).isDirectory()) found.push(...(await audioFilesBelow(path)));
      else found.push({ kind: 'file', path });
    } catch (thrown) {
      found.push({ kind: 'fault', path, error: unreadable(path, thrown) });
    }
  }
  return found;
}

async function audioFilesBelow(directory: string): Promise<readonly FoundFile[]> {
  const paths = (await pathsBelow(directory)).filter((path) =>
    AUDIO_ENDINGS.has(extname(path).toLowerCase()),
  );
  if (paths.length > 0) return paths.map((path) => ({ kind: 'file', path }));
  const error = new CallscribeError('AUDIO_UNSUPPORTED', `${directory}: there is no audio file in it`);
  return [{ kind: 'fault', path: directory, error }];
}

/** Links are not followed, so that there is an end. */
async function pathsBelow(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const paths: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) paths.push(...(await pathsBelow(path)));
    else if (entry.isFile()) paths.push(path);
  }
  return paths;
}

function unreadable(path: string, thrown: unknown): CallscribeError {
  const code = systemCode(thrown);
  const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code ?? 'unknown fault'})`;
  return new CallscribeError('AUDIO_UNSUPPORTED', `${path}: ${why}`, { cause: thrown });
}
