import type { CallId } from '../ids.ts';
import type { DialogTags } from '../sip/dialog-user.ts';
import type { JoinKey } from '../sip/join.ts';
import { within } from '../within.ts';
import type { Call } from './call.ts';
import type { CallDialog } from './call-dialog.ts';

const LEAVING_MAX_MS = 10_000;
/** Each has some 25 kB in memory and no file open; with so many, a disk or a processor is far too slow. */
const LEAVING_MAX = 5_000;

/** The calls in progress: the leg limit, and the drain at shutdown. */
export class CallRegistry {
  readonly #calls = new Set<Call>();
  /** Calls that wait for more dialogs, by join key, with the ends that they have. */
  readonly #joinable = new Map<string, { readonly call: Call; readonly ends: Set<JoinKey['end']> }>();
  readonly #maxLegs: number;
  /** Ended calls of which something is on disk still. */
  readonly #leaving = new Set<Promise<void>>();
  #draining = false;
  #isFull = false;
  #whenEmpty: (() => void) | undefined;

  constructor(maxLegs: number) {
    this.#maxLegs = maxLegs;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get callCount(): number {
    return this.#calls.size;
  }

  /** Ended calls whose recording is not made yet, or whose last facts are not on disk. */
  get leavingCount(): number {
    return this.#leaving.size;
  }

  /** Calls of a tenant. */
  callsOf(tenant: string): number {
    let calls = 0;
    for (const call of this.#calls) if (call.tenant === tenant) calls += 1;
    return calls;
  }

  get legCount(): number {
    let legs = 0;
    for (const call of this.#calls) legs += call.legCount;
    return legs;
  }

  hasRoom(): boolean {
    return this.legCount < this.#maxLegs;
  }

  /** Whether calls that have ended leave as fast as new ones come, or nearly. */
  get keepsPace(): boolean {
    return this.#leaving.size < LEAVING_MAX;
  }

  /** No port is left for a call. @returns whether that is new, so that a shortage is told of once */
  noteFull(): boolean {
    const isNew = !this.#isFull;
    this.#isFull = true;
    return isNew;
  }

  /** A call has its ports. */
  noteRoom(): void {
    this.#isFull = false;
  }

  /** A call that this process has. */
  find(id: CallId): Call | undefined {
    for (const call of this.#calls) if (call.id === id) return call;
    return undefined;
  }

  add(call: Call): void {
    this.#calls.add(call);
  }

  /**
   * The call that a dialog with this key belongs to, if it stands here and has not that end yet. From then on
   * the call has it.
   */
  join(key: JoinKey): Call | undefined {
    const found = this.#joinable.get(nameOf(key));
    if (found === undefined || !found.call.isJoinable) return undefined;
    if (key.end !== undefined && found.ends.has(key.end)) return undefined;
    found.ends.add(key.end);
    return found.call;
  }

  /** Dialogs with this key belong to this call, as long as it stands. */
  expect(key: JoinKey, call: Call): void {
    this.#joinable.set(nameOf(key), { call, ends: new Set([key.end]) });
  }

  /** An end of a joined call is gone; it may come again. */
  leave(key: JoinKey, call: Call): void {
    const found = this.#joinable.get(nameOf(key));
    if (found?.call === call) found.ends.delete(key.end);
  }

  /** The dialog that stands under these tags, in this process. */
  findDialog(tags: DialogTags): { readonly call: Call; readonly dialog: CallDialog } | undefined {
    for (const call of this.#calls) {
      for (const dialog of call.dialogs) {
        const known = dialog.established?.tags;
        const isMeant =
          known?.sipCallId === tags.sipCallId &&
          known.localTag === tags.localTag &&
          known.remoteTag === tags.remoteTag;
        if (isMeant) return { call, dialog };
      }
    }
    return undefined;
  }

  remove(call: Call): void {
    this.#calls.delete(call);
    for (const [key, joinable] of this.#joinable) if (joinable.call === call) this.#joinable.delete(key);
    if (this.#calls.size === 0) this.#whenEmpty?.();
  }

  /**
   * Takes no more calls and waits for the current ones; those that still go on after `timeoutMs` are ended by
   * us. Resolves when the last one is closed and its BYE answered or given up, and nothing but recordings is left
   * of them, which is waited for within a bound.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    if (this.#calls.size > 0) await this.#drainCalls(timeoutMs);
    // What is not put away by then is, by the next start.
    await within(LEAVING_MAX_MS, Promise.all(this.#leaving));
  }

  /** An ended call is being put away. */
  leaving(left: Promise<void>): void {
    this.#leaving.add(left);
    void left.finally(() => this.#leaving.delete(left));
  }

  async #drainCalls(timeoutMs: number): Promise<void> {
    const empty = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
    });
    const goodbyes: Promise<void>[] = [];
    const timer = setTimeout(() => {
      for (const call of this.#calls) goodbyes.push(call.hangUp('drained'));
    }, timeoutMs);
    await empty;
    clearTimeout(timer);
    await Promise.all(goodbyes);
  }
}

const nameOf = ({ kind, value }: JoinKey): string => `${kind}\n${value}`;
