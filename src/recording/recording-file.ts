import type { CallId } from '../ids.ts';

/**
 * Where a call's recording stands below the directory of recordings: a directory for each month (UTC), and in it
 * `<call id>.wav`.
 *
 * @param startedAt when the call began (`calls.started_at`)
 */
export function recordingFile(callId: CallId, startedAt: Date): string {
  return `${startedAt.toISOString().slice(0, 7)}/${callId}.wav`;
}
