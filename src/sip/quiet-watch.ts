export interface QuietWatchOptions {
  /** How long nothing may come before the peer is asked; read anew each time. */
  readonly limitMs: () => number;
  /** Grows with every sign of life of the peer: requests in the dialog, packets. */
  readonly signsOfLife: () => number;
  /** Whether all media has ended in order (RTCP BYE), as it does shortly before a BYE. */
  readonly mediaEnded: () => boolean;
  /** Asks the peer within the dialog. Never rejects. */
  readonly probe: () => Promise<'alive' | 'gone'>;
  readonly onGone: () => void;
}

/** A BYE that has not come so long after the end of all media may have been lost. */
const BYE_OVERDUE_MS = 15_000;

/**
 * Finds dialogs whose peer has forgotten them. Silence never ends one: after the limit without a sign of
 * life the peer is asked, and only its answer that there is no such dialog, or none at all, ends it. Where all media has
 * ended it is asked once before that, since a BYE over UDP may be lost and its sender be gone.
 */
export class QuietWatch {
  readonly #options: QuietWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #seen: number;
  #quietMs = 0;
  #askedSoon = false;
  #stopped = false;

  constructor(options: QuietWatchOptions) {
    this.#options = options;
    this.#seen = options.signsOfLife();
    this.#wait();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #wait(): void {
    const pauseMs = Math.min(BYE_OVERDUE_MS, this.#options.limitMs());
    this.#timer = setTimeout(() => {
      void this.#look(pauseMs);
    }, pauseMs);
  }

  async #look(passedMs: number): Promise<void> {
    const { probe, onGone } = this.#options;
    const found = this.#isSuspicious(passedMs) ? await probe() : 'alive';
    if (this.#stopped) return;
    if (found === 'alive') {
      this.#wait();
      return;
    }
    this.stop();
    onGone();
  }

  #isSuspicious(passedMs: number): boolean {
    const { limitMs, signsOfLife, mediaEnded } = this.#options;
    const seen = signsOfLife();
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#quietMs = 0;
      this.#askedSoon = false;
      return false;
    }
    this.#quietMs += passedMs;
    if (this.#quietMs >= limitMs()) {
      this.#quietMs = 0;
      return true;
    }
    if (this.#askedSoon || !mediaEnded()) return false;
    this.#askedSoon = true;
    return true;
  }
}
