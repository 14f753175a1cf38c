import type { Metrics } from '../metrics.ts';
import type { LegReceiverCounters } from '../rtp/receiver.ts';

/** Adds what came to one leg's ports and left them to the figures of the process; once, when the leg has ended. */
export function countLegMedia(
  { rtpPackets, rtcpPackets, concealedMs }: Pick<Metrics, 'rtpPackets' | 'rtcpPackets' | 'concealedMs'>,
  counters: LegReceiverCounters,
): void {
  rtpPackets.inc({ fate: 'received' }, counters.packetsReceived);
  rtpPackets.inc({ fate: 'lost' }, counters.packetsLost);
  rtpPackets.inc({ fate: 'late' }, counters.packetsLate);
  rtpPackets.inc({ fate: 'duplicate' }, counters.packetsDuplicate);
  rtpPackets.inc({ fate: 'malformed' }, counters.packetsMalformed);
  rtpPackets.inc({ fate: 'foreign' }, counters.packetsForeign);
  rtpPackets.inc({ fate: 'unknown_payload_type' }, counters.packetsUnknownPayloadType);
  rtpPackets.inc({ fate: 'unauthenticated' }, counters.packetsUnauthenticated);
  rtpPackets.inc({ fate: 'replayed' }, counters.packetsReplayed);
  rtpPackets.inc({ fate: 'sent' }, counters.packetsSent);
  rtpPackets.inc({ fate: 'left_out' }, counters.packetsLeftOut);
  rtcpPackets.inc({ fate: 'received' }, counters.rtcpPackets);
  rtcpPackets.inc({ fate: 'malformed' }, counters.rtcpMalformed);
  rtcpPackets.inc({ fate: 'unauthenticated' }, counters.rtcpUnauthenticated);
  rtcpPackets.inc({ fate: 'sent' }, counters.rtcpReportsSent);
  concealedMs.inc(counters.concealedMs);
}
