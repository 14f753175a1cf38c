import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';

import { CallscribeError, systemCode } from '../errors.ts';

const TAKEN = ['wav', 'mp3', 'pcm', 'opus', 'ogg', 'spx', 'aac', 'amr', 'alaw', 'ulaw'];
/** For ffmpeg. Without it nobody should believe them transcribed: they are refused one by one, with the way out. */
const DECODED = ['m4a', 'mp4', 'flac', 'wma', '3gp', 'aif', 'aiff', 'webm', 'gsm', 'au'];
/** What is looked at in a directory; a file that is named itself is tried whatever its ending. */
const AUDIO_ENDINGS = new Set([...TAKEN, ...DECODED].map((ending) => `.${ending}`));

/** A file to be transcribed, or why it cannot be. */
export type FoundFile =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'fault'; readonly path: string; readonly error: CallscribeError };

/** Files as they were named, and those of directories and what is below them, by name. */
export async function findFiles(paths: readonly string[]): Promise<readonly FoundFile[]> {
  const found: FoundFile[] = [];
  for (const path of paths) {
    try {
      const facts = await stat(path);
      if (facts.isDirectory()) found.push(...(await audioFilesBelow(path)));
      else if (facts.isFile()) found.push({ kind: 'file', path });
      else found.push({ kind: 'fault', path, error: notAFile(path) });
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

/** A pipe gives its header once only, and may never give it. */
function notAFile(path: string): CallscribeError {
  const text = `${path}: neither a file nor a directory; write what comes from a pipe into a file first`;
  return new CallscribeError('AUDIO_UNSUPPORTED', text);
}

function unreadable(path: string, thrown: unknown): CallscribeError {
  const code = systemCode(thrown);
  const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code ?? 'unknown fault'})`;
  return new CallscribeError('AUDIO_UNSUPPORTED', `${path}: ${why}`, { cause: thrown });
}
