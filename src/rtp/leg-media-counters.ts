import type { LegRtcpCounters } from './leg-rtcp.ts';

/**
 * A snapshot of what came to a leg's ports. Each datagram of the RTP port counts once in `packetsReceived`,
 * `packetsForeign`, `packetsMalformed`, `packetsUnauthenticated`, `packetsReplayed` or one of the RTCP counts (one on
 * probation, when it is decided);
 * the other packet counts are parts of `packetsReceived`, but for `packetsLost`, which never came in time.
 */
export interface LegMediaCounters extends LegRtcpCounters {
  /** Of the leg's source. */
  readonly packetsReceived: number;
  /** Declared lost; what came of them later counts as late as well. */
  readonly packetsLost: number;
  /** Came after they were declared lost, dropped. */
  readonly packetsLate: number;
  /** Came twice, dropped. */
  readonly packetsDuplicate: number;
  /** Overtaken by a later one, but in time. */
  readonly packetsReordered: number;
  readonly packetsMalformed: number;
  /** Of other addresses, or of a source that never was confirmed. */
  readonly packetsForeign: number;
  /** Of the leg's source, with a payload type that was not negotiated. */
  readonly packetsUnknownPayloadType: number;
  readonly telephoneEventPackets: number;
  /** Too short to be an event; parts of the above. */
  readonly telephoneEventsMalformed: number;
  readonly comfortNoisePackets: number;
  /** On a leg with SRTP: not protected by the peer's key, or changed on the way; dropped. */
  readonly packetsUnauthenticated: number;
  /** On a leg with SRTP: came before, copies by the network among them, or far too late; dropped. */
  readonly packetsReplayed: number;
  /** The same two for SRTCP, in one. */
  readonly rtcpUnauthenticated: number;
  /** Filled for lost packets. */
  readonly concealedMs: number;
  /** Filled where nothing was sent. */
  readonly silenceMs: number;
  /** Audio dropped because its stretch had been filled or played before it came. */
  readonly overlapMs: number;
  /** Interarrival jitter as it stands now, RFC 3550 §A.8. */
  readonly jitterMs: number;
  /** How long a gap is waited for now, as the network asked; see `GapHold`. */
  readonly gapHoldMs: number;
  readonly ssrcChanges: number;
  /** How often timestamps were tied anew to the leg's clock, changes of SSRC included. */
  readonly timestampResets: number;
  /** Gaps given up because the jitter buffer was full. */
  readonly bufferOverflows: number;
}
