import type { Clock } from '../clock.ts';
import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import type { MessageCounts } from './message-summary.ts';

/** Why a subscription ends while the peer still has it. RFC 6665 §4.1.3. */
export type SubscriptionEnd = 'timeout' | 'noresource' | 'deactivated';

/**
 * What became of a NOTIFY. `refused`: the peer knows of no subscription, or wants none; `unanswered`: it said nothing for
 * 32 s; both end the subscription. `failed`: it was not sent, or the peer could not take it now.
 */
export type NotifyOutcome = 'taken' | 'refused' | 'unanswered' | 'failed';

export interface Notify {
  /** Subscription-State. */
  readonly state: string;
  /** Undefined: they are not known yet. */
  readonly counts: MessageCounts | undefined;
}

export interface SubscriptionOptions {
  /** @returns status of the final response. @throws {Error} where it was not sent; `code` may be `ENODIALOG` */
  readonly send: (notify: Notify) => Promise<number>;
  readonly onOutcome: (outcome: NotifyOutcome) => void;
  /** It is over; called once. */
  readonly onOver: () => void;
  readonly pace: NotifyPace;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface NotifyPace {
  /** Between one NOTIFY and the next, save the last (RFC 3842 §3.11 leaves it to us). */
  readonly apartMs: number;
  /** How long the first waits for the counts. */
  readonly patienceMs: number;
  /** After one that failed. */
  readonly retryMs: number;
}

export const NOTIFY_PACE: NotifyPace = { apartMs: 1_000, patienceMs: 1_000, retryMs: 30_000 };

/** Somewhat longer than the edge waits before it says 408 in the peer's place. */
const ANSWER_MAX_MS = 40_000;

/** Final responses that end the subscription or its dialog: RFC 6665 §4.2.2, RFC 5057 §5.1. */
const ENDING: ReadonlySet<number> = new Set([
  ...[404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489],
  ...[501, 502, 604],
]);

/**
 * Notifies one peer of one mailbox: at once, at each change, and of the end. One NOTIFY is on its way at a time; what
 * changes meanwhile goes into the next one.
 */
export class Subscription {
  readonly #options: SubscriptionOptions;
  #counts: MessageCounts | undefined;
  /** The peer has our 200. */
  #isAccepted = false;
  /** Something is to be told. */
  #isDue = false;
  /** The first NOTIFY waits for the counts. */
  #isPatient = true;
  #isSending = false;
  #isOver = false;
  #end: SubscriptionEnd | undefined;
  #expiresAtMs = 0;
  #notBeforeMs = 0;
  #expiry: NodeJS.Timeout | undefined;
  #patience: NodeJS.Timeout | undefined;
  #next: NodeJS.Timeout | undefined;
  #whenOver: () => void = () => undefined;
  readonly #over = new Promise<void>((resolve) => {
    this.#whenOver = resolve;
  });

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  /** Whether it goes on, as far as we are concerned. */
  get isActive(): boolean {
    return this.#end === undefined && !this.#isOver;
  }

  get #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  /** A SUBSCRIBE was accepted: the first, or a refresh. Its NOTIFY follows. @param seconds 0: it is the last */
  accepted(seconds: number): void {
    clearTimeout(this.#expiry);
    this.#isAccepted = true;
    this.#isDue = true;
    if (seconds === 0) this.#end = 'timeout';
    else {
      this.#expiresAtMs = this.#nowMs + seconds * 1_000;
      this.#expiry = setTimeout(() => {
        void this.end('timeout');
      }, seconds * 1_000);
    }
    this.#patience ??= setTimeout(() => {
      this.#isPatient = false;
      this.#pump();
    }, this.#options.pace.patienceMs);
    this.#pump();
  }

  changed(counts: MessageCounts): void {
    this.#counts = counts;
    this.#isPatient = false;
    this.#isDue = true;
    this.#pump();
  }

  /** Tells the peer that it is over. @returns when the peer has answered, or has had the time to */
  end(reason: SubscriptionEnd): Promise<void> {
    this.#end ??= reason;
    this.#isPatient = false;
    this.#pump();
    return this.#over;
  }

  /** Forgets it, without a word to the peer. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const timer of [this.#expiry, this.#patience, this.#next]) clearTimeout(timer);
    this.#whenOver();
    this.#options.onOver();
  }

  #pump(): void {
    const isWanted = this.#end !== undefined || this.#isDue;
    const isReady = this.#isAccepted && !this.#isPatient && !this.#isSending && !this.#isOver;
    if (!isReady || !isWanted) return;
    clearTimeout(this.#next);
    const waitMs = this.#end === undefined ? this.#notBeforeMs - this.#nowMs : 0;
    if (waitMs > 0) {
      this.#next = setTimeout(() => {
        this.#pump();
      }, Math.ceil(waitMs));
      return;
    }
    this.#isSending = true;
    void this.#send(this.#end);
  }

  /** Never rejects. */
  async #send(end: SubscriptionEnd | undefined): Promise<void> {
    const { onOutcome, pace } = this.#options;
    const seconds = Math.max(1, Math.ceil((this.#expiresAtMs - this.#nowMs) / 1_000));
    const state = end === undefined ? `active;expires=${seconds}` : `terminated;reason=${end}`;
    this.#isDue = false;
    const outcome = await this.#outcome({ state, counts: this.#counts });
    onOutcome(outcome);
    this.#isSending = false;
    if (this.#isOver) return;
    if (end !== undefined || outcome === 'refused' || outcome === 'unanswered') {
      this.close();
      return;
    }
    if (outcome === 'failed') this.#isDue = true;
    this.#notBeforeMs = this.#nowMs + (outcome === 'failed' ? pace.retryMs : pace.apartMs);
    this.#pump();
  }

  async #outcome(notify: Notify): Promise<NotifyOutcome> {
    const sent = this.#options.send(notify);
    try {
      if ((await within(ANSWER_MAX_MS, sent)) === 'too-late') return 'failed';
      const status = await sent;
      if (status < 300) return 'taken';
      if (status === 408) return 'unanswered';
      return ENDING.has(status) ? 'refused' : 'failed';
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENODIALOG') return 'refused';
      this.#options.logger.info({ err: toError(error) }, 'NOTIFY could not be sent');
      return 'failed';
    }
  }
}
