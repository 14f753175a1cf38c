import { systemClock } from '../src/clock.ts';
import { type CallId, lowestIdAt } from '../src/ids.ts';
import {
  findUnsettledVoicemails,
  findVoicemailCalls,
  type SettledVoicemail,
  settleVoicemail,
} from '../src/store/settle-voicemail.ts';
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
    metrics?.voicemails.inc({ end_reason: voicemail.endReason, content: voicemail.content });
    logger.debug({ callId: voicemail.callId }, 'a message is in its mailbox');
  }
  onMailbox?.(voicemail);
}

/** A check follows the last fact within seconds, if it was not cut off. */
const QUIET_MS = 300_000;
/** A recording that is not there by then, or the end of the message, will not come. */
const HOPELESS_MS = 3_600_000;
/** Calls that began before are looked at no more. */
const LOOK_BACK_MS = 7 * 86_400_000;

/**
 * Makes the rows of messages that the check after their last fact has missed, and of those of which something will not
 * come any more.
 *
 * @returns how many were made
 * @throws what `pg` throws; see `toStoreError`
 */
export async function settleLeftVoicemails(
  deps: RowDeps,
  options: { readonly now?: Date; readonly callHangsMs: number },
): Promise<number> {
  const nowMs = (options.now ?? systemClock.wallTime()).getTime();
  const left = await findUnsettledVoicemails(deps.pool, {
    since: lowestIdAt(new Date(nowMs - LOOK_BACK_MS - options.callHangsMs)),
    quietSince: new Date(nowMs - QUIET_MS),
    hopelessSince: new Date(nowMs - HOPELESS_MS),
  });
  let made = 0;
  for (const { callId, isHopeless } of left) {
    const settled = await settleVoicemail(deps.pool, callId, isHopeless ? 'give-up' : 'wait');
    tell(deps, settled);
    if (settled.kind === 'made') made += 1;
  }
  return made;
}
