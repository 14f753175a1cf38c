import ipaddr from 'ipaddr.js';

import { TokenBucket, type TokenBucketOptions } from './token-bucket.ts';

export interface SourceLimiterOptions {
  /** For each source. */
  readonly source: TokenBucketOptions;
  /** For all of them together: what forged addresses can make us send. */
  readonly total: TokenBucketOptions;
  readonly sourcesMax: number;
}

/**
 * A token bucket for every source, and one for all. An IPv6 source is its /64, since whoever has one address there has all.
 * Bound: `sourcesMax` buckets; the one that was asked for longest ago is forgotten, which gives that source a full one.
 */
export class SourceLimiter {
  readonly #options: SourceLimiterOptions;
  readonly #total: TokenBucket;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(options: SourceLimiterOptions, nowMs: number) {
    this.#options = options;
    this.#total = new TokenBucket(options.total, nowMs);
  }

  get sources(): number {
    return this.#buckets.size;
  }

  /** Whether {@link take} would succeed as far as that source goes. */
  has(address: string, nowMs: number): boolean {
    return this.#buckets.get(sourceOf(address))?.has(nowMs) ?? true;
  }

  take(address: string, nowMs: number): boolean {
    const source = sourceOf(address);
    const bucket = this.#buckets.get(source) ?? new TokenBucket(this.#options.source, nowMs);
    // Asked for again: to the end of the order in which buckets are forgotten.
    this.#buckets.delete(source);
    this.#buckets.set(source, bucket);
    if (this.#buckets.size > this.#options.sourcesMax) {
      this.#buckets.delete(this.#buckets.keys().next().value!);
    }
    return bucket.take(nowMs) && this.#total.take(nowMs);
  }
}

function sourceOf(address: string): string {
  if (!ipaddr.isValid(address)) return 'unreadable';
  const read = ipaddr.process(address);
  return read.kind() === 'ipv4' ? read.toString() : read.toByteArray().slice(0, 8).join('.');
}
