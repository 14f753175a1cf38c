import type { OfferedLine } from '../sip/sdp.ts';

/**
 * Why nothing is to be expected of a line. The first four are told by the peer: `inactive` (a=inactive, or a peer
 * that only receives), `null_address` (c=0.0.0.0), `port_zero`, `metadata` (nobody sends its stream any more,
 * RFC 7866 §8.1.7); `no_rtp` is seen: packets stopped without a word.
 */
export type HoldCause = 'inactive' | 'null_address' | 'port_zero' | 'metadata' | 'no_rtp';

/** The causes that stand in a session description. */
export const SDP_CAUSES = ['inactive', 'null_address', 'port_zero'] as const satisfies readonly HoldCause[];

/** What a line's description says of a hold. */
export function holdsOf(
  line: Pick<OfferedLine, 'direction' | 'nullAddress' | 'port'>,
): ReadonlySet<(typeof SDP_CAUSES)[number]> {
  const holds = new Set<(typeof SDP_CAUSES)[number]>();
  if (line.direction === 'inactive' || line.direction === 'recvonly') holds.add('inactive');
  if (line.nullAddress) holds.add('null_address');
  if (line.port === 0) holds.add('port_zero');
  return holds;
}

export interface LegHoldOptions {
  readonly onEvent: (kind: 'hold' | 'resume', detail: Readonly<Record<string, unknown>>) => void;
}

/**
 * A leg's holds, as intervals: `hold` with the first cause, `resume` when the last one is gone, with all that took
 * part. Each tells its place on the leg's clock, which runs on meanwhile; null before the clock has started. A
 * hold that is never resumed lasts until the leg's end.
 */
export class LegHold {
  readonly #onEvent: LegHoldOptions['onEvent'];
  readonly #causes = new Set<HoldCause>();
  /** All causes of the present hold, also those that are gone. */
  readonly #met = new Set<HoldCause>();

  constructor(options: LegHoldOptions) {
    this.#onEvent = options.onEvent;
  }

  /** Whether the peer told that it sends nothing. */
  get isSignalled(): boolean {
    return this.#causes.size > (this.#causes.has('no_rtp') ? 1 : 0);
  }

  /** @param atMs now on the leg's clock, or when it began */
  begin(cause: HoldCause, atMs: number | undefined): void {
    this.#met.add(cause);
    if (this.#causes.has(cause)) return;
    this.#causes.add(cause);
    if (this.#causes.size === 1) this.#onEvent('hold', { cause, atMs: atMs ?? null });
  }

  end(cause: HoldCause, atMs: number | undefined): void {
    if (!this.#causes.delete(cause) || this.#causes.size > 0) return;
    this.#onEvent('resume', { causes: [...this.#met], atMs: atMs ?? null });
    this.#met.clear();
  }
}
