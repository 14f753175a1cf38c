import type { SrtpSuite } from '../rtp/srtp-key.ts';
import type { G711Codec } from './g711.ts';
import type { HeardFigures } from './heard-figures.ts';
import type { ReceiverFigures } from './sender-rtcp.ts';

export type CallMode = 'plain' | 'two-legs' | 'siprec';

/** What became of one call. JSON, for whoever compares it with what the other side stored. */
export interface CallReport {
  /** SIP Call-ID. */
  readonly callId: string;
  readonly mode: CallMode;
  /** Places the same call again, faults included. */
  readonly seed: number;
  readonly outcome: CallOutcome;
  /** What our BYE met with; undefined where none was sent. */
  readonly bye?: ByeOutcome;
  /** In the order of the offer's audio lines. */
  readonly legs: readonly LegReport[];
}

/** `unanswered`: given up after some seconds of retransmissions. */
export type ByeOutcome =
  { readonly kind: 'answered'; readonly status: number } | { readonly kind: 'unanswered' };

export type CallOutcome =
  /** All audio was sent, and the call hung up by us; by the peer where it was waited for. */
  | { readonly kind: 'completed' }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }
  /** The peer hung up while audio was left. */
  | { readonly kind: 'ended-by-peer' }
  /** The peer was to hang up, and did not in the time given: we did. */
  | { readonly kind: 'not-ended-by-peer' }
  /** Stopped by whoever placed it. */
  | { readonly kind: 'aborted' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

export type LegReport =
  /** The answer has port 0 for it. */
  | { readonly kind: 'refused'; readonly label: string; readonly codec: G711Codec }
  /** The call ended before any audio. */
  | { readonly kind: 'unsent'; readonly label: string; readonly codec: G711Codec }
  | SentLeg;

/** Counts of packets. `packets` = `packetsSent` + `lost` - `duplicated`, once all late ones have left. */
export interface SentLeg extends ReceiverFigures {
  readonly kind: 'sent';
  readonly label: string;
  readonly codec: G711Codec;
  readonly ssrc: number;
  /** Undefined: plain RTP. */
  readonly srtp: SrtpSuite | undefined;
  /** Packet times that have passed: what a perfect line would have carried. */
  readonly packets: number;
  /** Packets that left, each copy counted. */
  readonly packetsSent: number;
  readonly lost: number;
  readonly reordered: number;
  readonly duplicated: number;
  /** Packets that the system did not take. */
  readonly sendFailures: number;
  readonly rtcpReceived: number;
  /** Wall time of the leg's first packet, milliseconds since 1970. */
  readonly firstPacketAtMs: number | undefined;
  /** Where somebody listened. */
  readonly heard?: HeardFigures;
}
