import { AddressBlocks } from '../address-blocks.ts';
import type { Clock } from '../clock.ts';
import { SourceLimiter, type SourceLimiterOptions } from './source-limiter.ts';

/** What is done for an address: `refuse` answers what it asks with 403, `ignore` nothing at all. */
export type PeerAdmission = 'serve' | 'refuse' | 'ignore';

export interface PeerAccessOptions {
  /** Addresses or CIDR blocks that are served. */
  readonly allow: readonly string[];
  /** What anybody else gets. */
  readonly strangers: '403' | 'silent';
  /** `address`: not among those served; `rate`: one of these, more often than we answer it. */
  readonly onTurnedAway: (reason: 'address' | 'rate') => void;
  readonly clock: Clock;
  readonly answers?: SourceLimiterOptions;
}

/** A person who tries out a phone gets an answer every time; a scanner learns nothing by asking faster. */
const ANSWERS: SourceLimiterOptions = {
  source: { perSecond: 1, burst: 10 },
  total: { perSecond: 100, burst: 200 },
  sourcesMax: 10_000,
};
/** Verdicts kept, so that a packet costs no reading of addresses; at the bound they are all found anew. */
const VERDICTS_MAX = 10_000;

/** Who is served, and how often everybody else is told that they are not. One for a process, whatever its SIP edge. */
export class PeerAccess {
  readonly #options: PeerAccessOptions;
  readonly #filter: AddressBlocks;
  readonly #verdicts = new Map<string, boolean>();
  readonly #answers: SourceLimiter;

  constructor(options: PeerAccessOptions) {
    this.#options = options;
    this.#filter = new AddressBlocks(options.allow);
    this.#answers = new SourceLimiter(options.answers ?? ANSWERS, options.clock.monotonicMs());
  }

  /** To be asked once for everything that comes in; counts what is not served. */
  admit(address: string): PeerAdmission {
    if (this.#isServed(address)) return 'serve';
    const { strangers, clock, onTurnedAway } = this.#options;
    if (strangers === 'silent') {
      onTurnedAway('address');
      return 'ignore';
    }
    const isAnswered = this.#answers.take(address, clock.monotonicMs());
    onTurnedAway(isAnswered ? 'address' : 'rate');
    return isAnswered ? 'refuse' : 'ignore';
  }

  #isServed(address: string): boolean {
    const known = this.#verdicts.get(address);
    if (known !== undefined) return known;
    if (this.#verdicts.size >= VERDICTS_MAX) this.#verdicts.clear();
    const found = this.#filter.contains(address);
    this.#verdicts.set(address, found);
    return found;
  }
}
