import type { Metrics } from '../metrics.ts';
import type { OfferedLine } from '../sip/sdp.ts';
import { type HoldCause, holdsOf, LegHold, SDP_CAUSES } from './leg-hold.ts';

export interface LegQuietOptions {
  /** Now on the leg's clock; undefined before it has started. */
  readonly nowMs: () => number | undefined;
  /** Whether the peer announced media; to the receiver, which tells of silence only where it did. */
  readonly expect: (expected: 'media' | 'nothing') => void;
  readonly onEvent: (kind: string, detail: Readonly<Record<string, unknown>>) => void;
  readonly metrics: Pick<Metrics, 'silentLegs' | 'mediaSilences' | 'holds'>;
}

/**
 * When a leg has no media, and why: announced by the peer in one of its ways, which is a hold, or seen. Packets that
 * stop without a word are both: the event `media_silent` for whoever looks after the lines, and a hold of cause
 * `no_rtp` for whoever reads the call, so that the holds alone are all of its pauses.
 */
export class LegQuiet {
  readonly #options: LegQuietOptions;
  readonly #hold: LegHold;
  #isSilent = false;

  constructor(options: LegQuietOptions) {
    this.#options = options;
    this.#hold = new LegHold({
      onEvent: (kind, detail) => {
        if (kind === 'hold') options.metrics.holds.inc({ cause: String(detail['cause']) });
        options.onEvent(kind, detail);
      },
    });
  }

  /** Takes what a session description says of the line. */
  follow(line: Pick<OfferedLine, 'direction' | 'nullAddress' | 'port'>): void {
    const holds = holdsOf(line);
    const nowMs = this.#options.nowMs();
    // First those that begin: from one form of hold to another it is one hold.
    for (const cause of SDP_CAUSES) if (holds.has(cause)) this.#hold.begin(cause, nowMs);
    for (const cause of SDP_CAUSES) if (!holds.has(cause)) this.#hold.end(cause, nowMs);
    this.#expect();
  }

  /** Whether the peer announced that it sends nothing. */
  get isHeld(): boolean {
    return this.#hold.isSignalled;
  }

  pause(cause: HoldCause): void {
    this.#hold.begin(cause, this.#options.nowMs());
    this.#expect();
  }

  resume(cause: HoldCause): void {
    this.#hold.end(cause, this.#options.nowMs());
    this.#expect();
  }

  /** @param sinceMs where the media stopped; undefined where there never was any */
  silent(sinceMs: number | undefined): void {
    const { metrics, onEvent } = this.#options;
    this.#isSilent = true;
    metrics.silentLegs.inc();
    metrics.mediaSilences.inc();
    onEvent('media_silent', { sinceMs: sinceMs ?? null });
    if (sinceMs !== undefined) this.#hold.begin('no_rtp', sinceMs);
  }

  back(silentMs: number): void {
    this.leave();
    this.#options.onEvent('media_back', { silentMs: Math.round(silentMs) });
    this.#hold.end('no_rtp', this.#options.nowMs());
  }

  /** The leg ends; it is not silent any more for whoever counts silent legs. */
  leave(): void {
    if (this.#isSilent) this.#options.metrics.silentLegs.dec();
    this.#isSilent = false;
  }

  #expect(): void {
    this.#options.expect(this.isHeld ? 'nothing' : 'media');
  }
}
