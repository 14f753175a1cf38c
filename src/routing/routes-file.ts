import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { CallscribeError, systemCode } from '../errors.ts';
import { type LoadPrompt, PromptsBeside } from './prompts-beside.ts';
import { readRoutes, type ReadRoutesOptions, type RoutesReading } from './read-routes.ts';
import type { FileBeside } from './vocabularies.ts';
import { lockFileOf, readLock } from './vocabulary-lock.ts';

export interface LoadRoutesOptions extends Omit<ReadRoutesOptions, 'readBeside' | 'readPrompt' | 'lock'> {
  /** Reads something to be played. Default: nobody needs to hear it. Never rejects. */
  readonly loadPrompt?: LoadPrompt;
  /** `ignored`: what the lists of the file are called at the service is of no interest. Default: `resolved`. */
  readonly vocabularyIds?: 'resolved' | 'ignored';
}

/** A file of rules with all that it names, as they stand. */
export interface LoadedRoutes {
  readonly reading: RoutesReading;
  /** Of the files that it depends on, whether they are there or not. */
  readonly paths: readonly string[];
  /** Of all that was read: the same for the same. */
  readonly digest: string;
}

/** 500 hot words of 15 characters are a tenth of it. */
const BESIDE_BYTES_MAX = 262_144;

/** Reads a file of rules, the files that it names, and its lock. @throws {CallscribeError} ROUTES_INVALID where it is not there */
export async function loadRoutes(file: string, options: LoadRoutesOptions): Promise<LoadedRoutes> {
  const text = await readRules(file);
  const lockText = options.vocabularyIds === 'ignored' ? undefined : await readLockText(file);
  const lock = lockText === undefined ? {} : readLock(lockText);
  const beside = new Map<string, FileBeside>();
  const prompts = new PromptsBeside(dirname(file), options.loadPrompt);
  for (;;) {
    const wanted = new Set<string>();
    const reading = readRoutes(text, {
      ...options,
      lock: options.vocabularyIds === 'ignored' ? undefined : (lock ?? {}),
      readBeside: (path) => {
        const known = beside.get(path);
        if (known === undefined) wanted.add(path);
        return known ?? { kind: 'fault', what: 'not read yet' };
      },
      readPrompt: (prompt) => prompts.read(prompt),
    });
    if (wanted.size === 0 && !prompts.areWanted) {
      const read = [text, lockText, ...beside.values(), ...prompts.digests];
      return {
        reading: lock === undefined ? withUnreadableLock(file, reading) : reading,
        paths: [
          file,
          lockFileOf(file),
          ...[...beside.keys(), ...prompts.paths].map((path) => join(dirname(file), path)),
        ],
        digest: createHash('sha256').update(JSON.stringify(read)).digest('hex'),
      };
    }
    for (const path of wanted) beside.set(path, await readBeside(join(dirname(file), path)));
    await prompts.load();
  }
}

async function readRules(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = systemCode(cause) ?? 'unknown fault';
    throw new CallscribeError('ROUTES_INVALID', `ROUTES_FILE: ${file} cannot be read (${code})`, { cause });
  }
}

/** @returns undefined where there is none; of one that cannot be read, a text that is none */
async function readLockText(file: string): Promise<string | undefined> {
  try {
    return await readFile(lockFileOf(file), 'utf8');
  } catch (error) {
    return systemCode(error) === 'ENOENT' ? undefined : '';
  }
}

function withUnreadableLock(file: string, reading: RoutesReading): RoutesReading {
  const what = 'cannot be read; npm run vocabulary -- sync writes it anew';
  const fault = { line: 1, where: '', what, file: basename(lockFileOf(file)) };
  return { kind: 'faults', faults: [fault, ...(reading.kind === 'faults' ? reading.faults : [])] };
}

async function readBeside(path: string): Promise<FileBeside> {
  try {
    const { size } = await stat(path);
    if (size > BESIDE_BYTES_MAX) {
      return { kind: 'fault', what: `${size} bytes, allowed are ${BESIDE_BYTES_MAX}` };
    }
    return { kind: 'text', text: await readFile(path, 'utf8') };
  } catch (error) {
    return { kind: 'fault', what: `cannot be read (${systemCode(error) ?? 'unknown fault'})` };
  }
}
