import { open } from 'node:fs/promises';
import { join } from 'node:path';

import { CallscribeError, systemCode } from '../errors.ts';
import type { CallId } from '../ids.ts';
import { recordingFile } from './recording-file.ts';
import { WAVE_HEADER_BYTES } from './wave-header.ts';

/**
 * Finds a call's WAV file and sees whether it is whole: its header is one, and the file is as long as that says.
 *
 * @param startedAt when the call began (`calls.started_at`)
 * @returns its path below the directory of recordings
 * @throws {CallscribeError} RECORDING_ABSENT, RECORDING_MALFORMED, RECORDING_STORAGE
 */
export async function findRecording(recordingDir: string, callId: CallId, startedAt: Date): Promise<string> {
  const file = recordingFile(callId, startedAt);
  const { header, fileBytes } = await look(join(recordingDir, file));
  const isWave = header.toString('latin1', 0, 4) === 'RIFF' && header.toString('latin1', 8, 12) === 'WAVE';
  const expectedBytes =
    isWave && header.length === WAVE_HEADER_BYTES ? WAVE_HEADER_BYTES + header.readUInt32LE(40) : undefined;
  if (expectedBytes !== fileBytes) {
    throw new CallscribeError(
      'RECORDING_MALFORMED',
      `the recording is damaged: its file has ${fileBytes} bytes, and ` +
        `${expectedBytes === undefined ? 'no header of a WAV file' : `its header tells of ${expectedBytes}`}. ` +
        'Put it back from a backup; the transcript is not touched by this',
    );
  }
  return file;
}

async function look(path: string): Promise<{ readonly header: Buffer; readonly fileBytes: number }> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const { buffer, bytesRead } = await file.read(Buffer.alloc(WAVE_HEADER_BYTES), 0, WAVE_HEADER_BYTES, 0);
      return { header: buffer.subarray(0, bytesRead), fileBytes: size };
    } finally {
      await file.close();
    }
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT') {
      throw new CallscribeError(
        'RECORDING_ABSENT',
        'there is no recording of this call here: none is kept (RECORDING), it was deleted, or it is on the machine that took the call',
        { cause },
      );
    }
    throw new CallscribeError('RECORDING_STORAGE', `the recording cannot be read (${code ?? 'unknown'})`, {
      cause,
    });
  }
}
