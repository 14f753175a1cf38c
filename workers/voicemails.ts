import type { CallId } from '../src/ids.ts';
import { findAwaitedVoicemails, findVoicemailCalls } from '../src/store/awaited-voicemails.ts';
import { type SettledVoicemail, settleVoicemail } from '../src/store/settle-voicemail.ts';
import type { RowDeps } from './sentences.ts';

/** Makes the rows of these calls' messages, where all of them is there. @throws what `pg` throws; see `toStoreError` */
export async function settleVoicemails(deps: RowDeps, callIds: readonly CallId[]): Promise<void> {
  for (const callId of await findVoicemailCalls(deps.pool, [...new Set(callIds)])) {
    tell(deps, await settleVoicemail(deps.pool, callId));
  }
}

function tell({ metrics, logger, onMailbox }: RowDeps, settled: SettledVoicemail): void {
  if (settled.kind !== 'made' && settled.kind !== 'changed') return;
  const { voicemail } = settled;
  if (settled.kind === 'made') {
    metrics?.voicemailRows.inc({ end_reason: voicemail.endReason, content: voicemail.content });
    logger.debug({ callId: voicemail.callId }, 'a message is in its mailbox');
  }
  onMailbox?.(voicemail);
}

/** A check follows the last fact within seconds, if it was not cut off. */
const QUIET_MS = 300_000;
/** A recording that is not there by then, or the end of the message, will not come. */
const HOPELESS_MS = 3_600_000;

/**
 * Makes the rows of messages that the check after their last fact has missed, and of those of which something will not
 * come any more.
 *
 * @returns how many were made
 * @throws what `pg` throws; see `toStoreError`
 */
export async function settleLeftVoicemails(deps: RowDeps, now: Date): Promise<number> {
  const ago = (ms: number): Date => new Date(now.getTime() - ms);
  const left = await findAwaitedVoicemails(deps.pool, {
    quietSince: ago(QUIET_MS),
    hopelessSince: ago(HOPELESS_MS),
  });
  let made = 0;
  for (const { callId, isHopeless } of left) {
    const settled = await settleVoicemail(deps.pool, callId, isHopeless ? 'give-up' : 'wait');
    tell(deps, settled);
    if (settled.kind === 'made') made += 1;
  }
  return made;
}
