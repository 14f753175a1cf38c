/**
 * How far each nonce has been used (RFC 7616 §3.4, `nc`): a count that was there before is a replay. Nonces that are too old
 * need no entry. Bound: `noncesMax` entries; where one is dropped early, every nonce that is as old counts as stale from
 * then on, so that the bound costs a second challenge and never lets a replay through.
 */
export class NonceLedger {
  readonly #lifetimeMs: number;
  readonly #noncesMax: number;
  /** In the order of their first use. */
  readonly #used = new Map<string, { readonly issuedMs: number; count: number }>();
  #oldestTakenMs = 0;

  constructor(options: { readonly lifetimeMs: number; readonly noncesMax: number }) {
    this.#lifetimeMs = options.lifetimeMs;
    this.#noncesMax = options.noncesMax;
  }

  get nonces(): number {
    return this.#used.size;
  }

  use(nonce: {
    readonly nonce: string;
    readonly issuedMs: number;
    readonly count: number;
    readonly nowMs: number;
  }): 'fresh' | 'stale' {
    const ageMs = nonce.nowMs - nonce.issuedMs;
    // One from the future was made by a process whose clock is ahead; within the same span that does no harm.
    if (ageMs > this.#lifetimeMs || ageMs < -this.#lifetimeMs) return 'stale';
    const known = this.#used.get(nonce.nonce);
    if (known !== undefined) {
      if (nonce.count <= known.count) return 'stale';
      known.count = nonce.count;
      return 'fresh';
    }
    if (nonce.issuedMs < this.#oldestTakenMs) return 'stale';
    this.#used.set(nonce.nonce, { issuedMs: nonce.issuedMs, count: nonce.count });
    if (this.#used.size > this.#noncesMax) this.#shrink(nonce.nowMs);
    return 'fresh';
  }

  #shrink(nowMs: number): void {
    for (const [nonce, { issuedMs }] of this.#used) {
      if (nowMs - issuedMs > this.#lifetimeMs) this.#used.delete(nonce);
    }
    while (this.#used.size > this.#noncesMax) {
      const [nonce, { issuedMs }] = this.#used.entries().next().value!;
      this.#used.delete(nonce);
      this.#oldestTakenMs = Math.max(this.#oldestTakenMs, issuedMs + 1);
    }
  }
}
