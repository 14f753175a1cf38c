import { setTimeout as sleep } from 'node:timers/promises';

import type { CallId } from '../ids.ts';
import {
  type CallFilePlaces,
  deleteCallFiles,
  deleteLinesOf,
  findCallFiles,
  findMentions,
} from './call-files.ts';

/** Wherever something of a call may be, as far as this machine reaches. */
export interface CallPlaces extends CallFilePlaces {
  /** Whatever comes of it from now on is dropped by the writers. */
  readonly remember: (callId: CallId) => Promise<void>;
  /** @returns how many there were */
  readonly deleteRows: (callId: CallId) => Promise<number>;
  readonly countRows: (callId: CallId) => Promise<number>;
  /** Jobs of both queues in which the call is named. */
  readonly countJobs: (callId: CallId) => Promise<number>;
}

/** What is left of a call, by place. */
export type Left = Readonly<Record<'rows' | 'files' | 'outbox' | 'queue', number>>;

export interface ForgottenCall {
  /** How many were deleted. */
  readonly rows: number;
  readonly files: number;
  readonly left: Left;
}

const LOOK_EVERY_MS = 250;

/**
 * Deletes an ended call everywhere, and looks until nothing is left of it: what is on its way is dropped when a writer
 * takes it.
 *
 * @param waitMaxMs how long that is waited for
 * @throws what storage throws; done again, it goes on
 */
export async function forgetCall(
  places: CallPlaces,
  callId: CallId,
  waitMaxMs: number,
): Promise<ForgottenCall> {
  await places.remember(callId);
  const rows = await places.deleteRows(callId);
  const files = await findCallFiles(places, callId);
  await deleteCallFiles(files);
  const deadlineMs = performance.now() + waitMaxMs;
  for (;;) {
    await deleteLinesOf(await findMentions(places.outboxDir, callId), callId);
    // Once more: a writer may have looked whether the call is forgotten just before it was.
    await places.deleteRows(callId);
    const left = await lookAround(places, callId);
    if (sumOfLeft(left) === 0 || performance.now() > deadlineMs) return { rows, files: files.length, left };
    await sleep(LOOK_EVERY_MS);
  }
}

export async function lookAround(places: CallPlaces, callId: CallId): Promise<Left> {
  return {
    rows: await places.countRows(callId),
    files: (await findCallFiles(places, callId)).length,
    outbox: (await findMentions(places.outboxDir, callId)).length,
    queue: await places.countJobs(callId),
  };
}

export const sumOfLeft = (left: Left): number => left.rows + left.files + left.outbox + left.queue;
