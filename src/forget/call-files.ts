import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { entriesOf } from '../directory.ts';
import { systemCode } from '../errors.ts';
import type { CallId } from '../ids.ts';

export interface CallFilePlaces {
  /** A directory for each month, and in it the recordings, named by the call. */
  readonly recordingDir: string;
  /** Each has a directory for each of some calls: those in progress, those that wait for the recogniser. */
  readonly callDirs: readonly string[];
  /** Facts on their way to the queue. */
  readonly outboxDir: string;
}

/** Recordings and whatever else on this machine is named by the call. */
export async function findCallFiles(places: CallFilePlaces, callId: CallId): Promise<readonly string[]> {
  const found: string[] = [];
  for (const directory of places.callDirs) {
    for (const { name } of await entriesOf(directory)) if (name === callId) found.push(join(directory, name));
  }
  for (const month of await entriesOf(places.recordingDir)) {
    if (!month.isDirectory()) continue;
    const directory = join(places.recordingDir, month.name);
    for (const { name } of await entriesOf(directory)) {
      if (name.startsWith(callId)) found.push(join(directory, name));
    }
  }
  return found;
}

/** @throws where one cannot be deleted */
export async function deleteCallFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { recursive: true, force: true });
}

/** Files of the outbox in which the call is named. A file that vanishes meanwhile has none of it. */
export async function findMentions(outboxDir: string, callId: CallId): Promise<readonly string[]> {
  const found: string[] = [];
  for (const entry of await entriesOf(outboxDir)) {
    const path = join(outboxDir, entry.name);
    if (entry.isDirectory()) found.push(...(await findMentions(path, callId)));
    else if (entry.isFile() && (await contentOf(path)).includes(callId)) found.push(path);
  }
  return found;
}

/**
 * Takes the call's lines out of files that keep one fact a line for an operator; nobody else will. A line that another
 * process adds in the same moment may be lost.
 */
export async function deleteLinesOf(paths: readonly string[], callId: CallId): Promise<void> {
  for (const path of paths.filter((name) => name.endsWith('.ndjson'))) {
    const lines = (await contentOf(path)).toString('utf8').split('\n');
    await writeFile(`${path}.new`, lines.filter((line) => !line.includes(callId)).join('\n'), {
      mode: 0o600,
    });
    await rename(`${path}.new`, path);
  }
}

async function contentOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}
