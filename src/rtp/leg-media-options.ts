import type { SignalledSource } from './latch-rule.ts';
import type { LastSource } from './late-sender.ts';
import type { LegRtcpOptions } from './leg-rtcp.ts';
import type { MediaSink } from './media-sink.ts';
import type { NegotiatedPayloads } from './payload-map.ts';
import type { SrtpTerms } from './srtp-key.ts';
import type { TelephoneEvent } from './telephone-events.ts';

export interface LegMediaOptions extends NegotiatedPayloads {
  readonly sink: MediaSink;
  readonly rtcp: Omit<LegRtcpOptions, 'source'>;
  /** What protects the leg; undefined: plain RTP. A leg that has it takes nothing unprotected, ever. */
  readonly security?: SrtpTerms | undefined;
  /** Monotonic time of the leg's sample 0; once, before the first samples. */
  readonly started: (atMs: number) => void;
  /** Where the peer said that it sends from. */
  readonly signalled?: SignalledSource | undefined;
  /** Who spoke to these ports in the call before. */
  readonly lastSource?: LastSource | undefined;
  readonly onTelephoneEvent?: (event: TelephoneEvent) => void;
  /** No packet came for `silentAfterMs` though media is expected, since that place on the leg's clock. */
  readonly onSilent?: (sinceSample: number) => void;
  readonly onBack?: (silentMs: number) => void;
  /** Default: {@link SILENT_AFTER_MS}. */
  readonly silentAfterMs?: number | undefined;
}

/** Longer than a breath or a look-up; shorter than a customer's patience. */
export const SILENT_AFTER_MS = 10_000;
