export interface TokenBucketOptions {
  /** What comes back in a second, and so what may be taken in the long run. */
  readonly perSecond: number;
  /** What may be taken at once after a rest. */
  readonly burst: number;
}

/** So many a second, some more at once after a rest. Pure: time comes in. */
export class TokenBucket {
  readonly #options: TokenBucketOptions;
  #tokens: number;
  #atMs: number;

  constructor(options: TokenBucketOptions, nowMs: number) {
    this.#options = options;
    this.#tokens = options.burst;
    this.#atMs = nowMs;
  }

  /** Takes one token. @returns false where there is none; then nothing is taken */
  take(nowMs: number): boolean {
    if (!this.has(nowMs)) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Whether {@link take} would succeed. */
  has(nowMs: number): boolean {
    const { perSecond, burst } = this.#options;
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#tokens = Math.min(burst, this.#tokens + (passedMs * perSecond) / 1_000);
    this.#atMs = nowMs;
    return this.#tokens >= 1;
  }
}
