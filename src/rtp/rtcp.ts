import { RtcpPacketConverter, RtcpRrPacket, RtcpSrPacket } from 'werift-rtp';

/** RFC 3550 §6.4: the two reports and BYE are what we read; other packets are only checked for length. */
export interface RtcpCompound {
  readonly reports: readonly (RtcpSrPacket | RtcpRrPacket)[];
  /** SSRCs that leave (§6.6). */
  readonly goodbyes: readonly number[];
}

const HEADER_BYTES = 4;
export const GOODBYE_TYPE = 203;

/**
 * Reads one compound RTCP datagram; undefined when it is malformed. Never throws.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |V=2|P|   RC    |      PT       |  length in words less one     |  and so on, to the datagram's end
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * The lengths are checked here (RFC 3550 §A.2) and each report is handed to `werift-rtp` alone, because its
 * converter lets a packet read beyond its own length, throws at a cut header, and drops in silence a report that
 * it cannot read.
 */
export function parseRtcp(datagram: Buffer): RtcpCompound | undefined {
  if (datagram.length < HEADER_BYTES) return undefined;
  const reports: (RtcpSrPacket | RtcpRrPacket)[] = [];
  const goodbyes: number[] = [];
  let begin = 0;
  // A rest shorter than a header is overlooked: seen in the field behind a description that fills no word.
  while (begin + HEADER_BYTES <= datagram.length) {
    if (datagram[begin]! >> 6 !== 2) return undefined;
    const end = begin + HEADER_BYTES + 4 * datagram.readUInt16BE(begin + 2);
    if (end > datagram.length) return undefined;

    const packetType = datagram[begin + 1]!;
    if (packetType < 192 || packetType > 223) return undefined;
    if (packetType === RtcpSrPacket.type || packetType === RtcpRrPacket.type) {
      const [report] = RtcpPacketConverter.deSerialize(datagram.subarray(begin, end));
      if (!(report instanceof RtcpSrPacket) && !(report instanceof RtcpRrPacket)) return undefined;
      reports.push(report);
    } else if (packetType === GOODBYE_TYPE) {
      const sources = datagram[begin]! & 0x1f;
      if (begin + HEADER_BYTES + 4 * sources > end) return undefined;
      for (let i = 0; i < sources; i++) goodbyes.push(datagram.readUInt32BE(begin + HEADER_BYTES + 4 * i));
    }
    begin = end;
  }
  return { reports, goodbyes };
}
