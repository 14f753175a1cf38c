import type { Leg } from './leg.ts';

/** Where a call stands, as whoever pauses it is told. */
export interface PauseState {
  readonly state: 'paused' | 'running';
  /** Since when; of a call that was never paused, undefined. */
  readonly since: Date | undefined;
  /** Whether this request made it so. */
  readonly changed: boolean;
}

export interface CallPauseOptions {
  /** Those that are not closed. */
  readonly legs: () => readonly Leg[];
  readonly onEvent: (kind: 'paused' | 'resumed', detail: Readonly<Record<string, unknown>>) => void;
  readonly now: () => Date;
}

/**
 * The stretches of a call of which nothing is kept, because somebody says what must not be: a card number (PCI DSS).
 * RTP goes on; of its audio and keys nothing leaves the leg, the sentence in the making ends, and the clocks run on.
 * `paused` and `resumed` are events of the call, with the place on each leg's clock; a pause that nobody ends lasts
 * to the end of the call.
 */
export class CallPause {
  readonly #options: CallPauseOptions;
  #isPaused = false;
  #since: Date | undefined;
  #resuming: Promise<boolean> | undefined;

  constructor(options: CallPauseOptions) {
    this.#options = options;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** In effect when it returns, also on legs that are about to be heard again. @param by who asked for it */
  pause(by: string): PauseState {
    for (const leg of this.#options.legs()) leg.mute();
    this.#resuming = undefined;
    const changed = !this.#isPaused;
    if (changed) {
      this.#isPaused = true;
      this.#tell('paused', by);
    }
    return { state: 'paused', since: this.#since, changed };
  }

  /** Resolves when all legs are heard again, within half a second; or when another pause came meanwhile. */
  async resume(by: string): Promise<PauseState> {
    if (!this.#isPaused) return { state: 'running', since: this.#since, changed: false };
    const isFirst = this.#resuming === undefined;
    const resuming = (this.#resuming ??= this.#unmute());
    const heard = await resuming;
    const isMine = isFirst && heard && this.#resuming === resuming;
    if (isMine) {
      this.#resuming = undefined;
      this.#isPaused = false;
      this.#tell('resumed', by);
    }
    return { state: this.#isPaused ? 'paused' : 'running', since: this.#since, changed: isMine };
  }

  /** A leg was opened; it is as the call is. */
  follow(leg: Leg): void {
    if (this.#isPaused) leg.mute();
  }

  /** @returns whether all legs are heard */
  async #unmute(): Promise<boolean> {
    for (;;) {
      // A leg may have been opened meanwhile.
      const muted = this.#options.legs().filter(({ isMuted }) => isMuted);
      if (muted.length === 0) return true;
      const heard = await Promise.all(muted.map((leg) => leg.unmute()));
      if (heard.includes(false)) return false;
    }
  }

  #tell(kind: 'paused' | 'resumed', by: string): void {
    const { legs, onEvent, now } = this.#options;
    this.#since = now();
    onEvent(kind, { by, legs: legs().map(({ legNo, atMs }) => ({ legNo, atMs: atMs ?? null })) });
  }
}
