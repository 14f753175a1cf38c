export interface QuietWatchOptions {
  /** How long nothing may come before the peer is asked; read anew each time. */
  readonly limitMs: () => number;
  /** Grows with every sign of life of the peer: requests in the dialog, packets. */
  readonly signsOfLife: () => number;
  /** Asks the peer within the dialog. Never rejects. */
  readonly probe: () => Promise<'alive' | 'gone'>;
  readonly onGone: () => void;
}

/**
 * Finds dialogs whose peer has forgotten them. Silence never ends one: after one to two limits without a sign of
 * life the peer is asked, and only its answer that there is no such dialog, or none at all, ends it.
 */
export class QuietWatch {
  readonly #options: QuietWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #seen: number;
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
    this.#timer = setTimeout(() => {
      void this.#look();
    }, this.#options.limitMs());
  }

  async #look(): Promise<void> {
    const { signsOfLife, probe, onGone } = this.#options;
    const seen = signsOfLife();
    const isQuiet = seen === this.#seen;
    this.#seen = seen;
    const found = isQuiet ? await probe() : 'alive';
    if (this.#stopped) return;
    if (found === 'alive') {
      this.#wait();
      return;
    }
    this.stop();
    onGone();
  }
}
