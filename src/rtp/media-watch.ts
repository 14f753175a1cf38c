export interface MediaWatchOptions {
  /** Nothing for so long, and the line is silent. */
  readonly silentAfterMs: number;
  readonly onSilent: () => void;
  /** Media comes again, or the line is held and none is expected any more. */
  readonly onBack: (silentMs: number) => void;
}

/**
 * Tells when media that is expected does not come, and when it comes again. It ends nothing: a line may be silent
 * for as long as it likes (a held party, silence suppression without comfort noise), but somebody may want to know.
 */
export class MediaWatch {
  readonly #options: MediaWatchOptions;
  #state: 'listening' | 'silent' = 'listening';
  #isExpected = true;
  /** When the last packet came, or media began to be expected. */
  #sinceMs = -Infinity;

  constructor(options: MediaWatchOptions) {
    this.#options = options;
  }

  /** A packet of the leg came. */
  heard(nowMs: number): void {
    if (this.#state === 'silent') this.#end(nowMs);
    this.#sinceMs = nowMs;
  }

  /** The peer announced that it will send nothing, or that it sends again. */
  expect(expected: 'media' | 'nothing', nowMs: number): void {
    this.#isExpected = expected === 'media';
    if (this.#state === 'silent') this.#end(nowMs);
    this.#sinceMs = nowMs;
  }

  tick(nowMs: number): void {
    if (this.#sinceMs === -Infinity) this.#sinceMs = nowMs;
    if (!this.#isExpected || this.#state === 'silent') return;
    if (nowMs - this.#sinceMs < this.#options.silentAfterMs) return;
    this.#state = 'silent';
    this.#options.onSilent();
  }

  #end(nowMs: number): void {
    this.#state = 'listening';
    this.#options.onBack(nowMs - this.#sinceMs);
  }
}
