import type { CallId } from '../ids.ts';
import { type CallPosition, START } from './position.ts';

/** What a subscriber was sent of one call. */
interface SentCall {
  eventNo: number;
  readonly sentenceNos: Map<number, number>;
  /** That it is settled was sent, too. */
  hasEnded: boolean;
}

interface Step {
  readonly callId: CallId;
  readonly undo: (call: SentCall) => void;
}

/** Steps that can be undone; further back a subscriber begins anew. */
const STEPS_MAX = 10_000;

/**
 * What a subscriber was sent of its calls, step by step. A step may have been lost with the connection: whoever comes back
 * says which one it had last, and all after that are undone.
 */
export class Progress {
  readonly #calls = new Map<CallId, SentCall>();
  #steps: Step[] = [];
  /** Of the first step that can be undone. */
  #firstStepNo = 1;

  /** 0 before the first one. */
  get stepNo(): number {
    return this.#firstStepNo + this.#steps.length - 1;
  }

  /** Calls of which something is known, and that have not ended. */
  get goingOn(): readonly CallId[] {
    return [...this.#calls].flatMap(([callId, { hasEnded }]) => (hasEnded ? [] : [callId]));
  }

  hasEnded(callId: CallId): boolean {
    return this.#calls.get(callId)?.hasEnded ?? false;
  }

  positionIn(callId: CallId): CallPosition {
    return this.#calls.get(callId) ?? START;
  }

  /** @param position `ended`: all of it was received */
  startAt(callId: CallId, position: CallPosition | 'ended'): void {
    const hasEnded = position === 'ended';
    const { eventNo, sentenceNos } = hasEnded ? START : position;
    this.#calls.set(callId, { eventNo, sentenceNos: new Map(sentenceNos), hasEnded });
  }

  event(callId: CallId, eventNo: number): void {
    const call = this.#callOf(callId);
    const before = call.eventNo;
    call.eventNo = eventNo;
    this.#note(callId, (undone) => (undone.eventNo = before));
  }

  sentence(callId: CallId, legNo: number, sentenceNo: number): void {
    const call = this.#callOf(callId);
    const before = call.sentenceNos.get(legNo) ?? 0;
    call.sentenceNos.set(legNo, sentenceNo);
    this.#note(callId, ({ sentenceNos }) => sentenceNos.set(legNo, before));
  }

  ended(callId: CallId): void {
    this.#callOf(callId).hasEnded = true;
    this.#note(callId, (undone) => (undone.hasEnded = false));
  }

  /** @returns false where that step is not known (any more); nothing is undone then */
  goBackTo(stepNo: number): boolean {
    if (stepNo < this.#firstStepNo - 1 || stepNo > this.stepNo) return false;
    for (const { callId, undo } of this.#steps.splice(stepNo - this.#firstStepNo + 1).reverse()) {
      const call = this.#calls.get(callId);
      if (call !== undefined) undo(call);
    }
    return true;
  }

  #callOf(callId: CallId): SentCall {
    let call = this.#calls.get(callId);
    if (call === undefined) {
      call = { eventNo: 0, sentenceNos: new Map(), hasEnded: false };
      this.#calls.set(callId, call);
    }
    return call;
  }

  #note(callId: CallId, undo: Step['undo']): void {
    this.#steps.push({ callId, undo });
    // In bulk: one at a time would move all others each time.
    if (this.#steps.length < 2 * STEPS_MAX) return;
    this.#firstStepNo += STEPS_MAX;
    const kept = this.#steps.slice(STEPS_MAX);
    const needed = new Set(kept.map((step) => step.callId));
    for (const [id, { hasEnded }] of this.#calls) if (hasEnded && !needed.has(id)) this.#calls.delete(id);
    this.#steps = kept;
  }
}
