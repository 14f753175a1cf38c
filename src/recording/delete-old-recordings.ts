import { rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { entriesOf } from '../directory.ts';
import { isUuid, timeOfId, toCallId } from '../ids.ts';

const MONTH = /^\d{4}-\d{2}$/;
/** `.part`: left by a process that was killed while it made one. */
const RECORDING = /^(.{36})\.wav(?:\.part)?$/;

/**
 * Deletes the recordings of calls that began before a time, and the months that are empty then. A call's id tells when
 * it began; of ids that do not, the file's own time counts. What is not named as a recording is left alone.
 *
 * @returns how many were deleted
 * @throws where a directory or file cannot be read or deleted
 */
export async function deleteOldRecordings(recordingDir: string, before: Date): Promise<number> {
  let deleted = 0;
  const lastMonth = before.toISOString().slice(0, 7);
  for (const month of await entriesOf(recordingDir)) {
    if (!month.isDirectory() || !MONTH.test(month.name) || month.name > lastMonth) continue;
    const directory = join(recordingDir, month.name);
    for (const { name } of await entriesOf(directory)) {
      const id = RECORDING.exec(name)?.[1];
      if (id === undefined || !isUuid(id)) continue;
      const path = join(directory, name);
      const beganAt = timeOfId(toCallId(id)) ?? (await stat(path)).mtime;
      if (beganAt >= before) continue;
      await rm(path, { force: true });
      deleted++;
    }
    if ((await entriesOf(directory)).length === 0) await rmdir(directory);
  }
  return deleted;
}

/**
 * Deletes the directories of calls that began before a time, in a directory that has one for each call.
 *
 * @returns how many were deleted
 * @throws where a directory cannot be read or deleted
 */
export async function deleteOldCallDirectories(parent: string, before: Date): Promise<number> {
  let deleted = 0;
  for (const { name } of await entriesOf(parent)) {
    const beganAt = isUuid(name) ? timeOfId(toCallId(name)) : undefined;
    if (beganAt === undefined || beganAt >= before) continue;
    await rm(join(parent, name), { recursive: true, force: true });
    deleted++;
  }
  return deleted;
}
