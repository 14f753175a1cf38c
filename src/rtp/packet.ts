import { CallscribeError } from '../errors.ts';

const HEADER_BYTES = 12;

/**
 * One second of G.711. RFC 3551 §4.2 lets a receiver expect up to 200 ms; what is longer than this is no
 * telephone's packet and would push the leg's clock ahead.
 */
export const PAYLOAD_MAX_BYTES = 8_000;

/** Why a datagram is no RTP packet that we take. */
export type RtpFault = 'too-short' | 'version' | 'csrc-list' | 'extension' | 'padding' | 'payload-too-long';

const NO_BYTES = new Uint8Array(0);

/**
 * One RTP packet, read in place: the fields are numbers, the payload is a range of `bytes`. An object of this
 * class is filled again for every datagram, so whoever keeps a packet must copy it (`copyFrom`).
 */
export class RtpPacket {
  payloadType = 0;
  marker = false;
  /** 0 to 65,535, as it was on the wire. */
  sequenceNumber = 0;
  /** 0 to 2³² − 1, ticks of the payload's clock. */
  timestamp = 0;
  /** 0 to 2³² − 1. */
  ssrc = 0;
  csrcCount = 0;
  bytes: Uint8Array = NO_BYTES;
  /** The payload is `bytes[payloadBegin, payloadEnd)`, without padding. */
  payloadBegin = 0;
  payloadEnd = 0;

  /** Monotonic time at which the datagram was read; set by the receiver. */
  arrivalMs = 0;
  /** The sequence number on a line without wraps; set once the source is known. */
  extendedSequence = 0;

  /** After a fault: how many bytes the faulty field asks for, and how many there are for it. */
  neededBytes = 0;
  foundBytes = 0;

  /** Takes over another packet with a copy of its payload. The own buffer only ever grows, to what it met. */
  copyFrom(other: RtpPacket): void {
    const payloadBytes = other.payloadEnd - other.payloadBegin;
    if (this.bytes.length < payloadBytes) this.bytes = new Uint8Array(payloadBytes);
    for (let i = 0; i < payloadBytes; i++) this.bytes[i] = other.bytes[other.payloadBegin + i]!;
    this.payloadType = other.payloadType;
    this.marker = other.marker;
    this.sequenceNumber = other.sequenceNumber;
    this.timestamp = other.timestamp;
    this.ssrc = other.ssrc;
    this.csrcCount = other.csrcCount;
    this.payloadBegin = 0;
    this.payloadEnd = payloadBytes;
    this.arrivalMs = other.arrivalMs;
    this.extendedSequence = other.extendedSequence;
  }
}

/**
 * Reads one datagram into `packet` without allocating. Returns what is wrong with it, or undefined; after a
 * fault only `neededBytes` and `foundBytes` mean anything. `length`: where the packet ends before the datagram does,
 * as one does whose protection was taken off. RFC 3550 §5.1, §5.3.1:
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                           timestamp                           |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |           synchronization source (SSRC) identifier            |
 *     +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
 *     |            contributing source (CSRC) identifiers, CC of them |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |  if X: defined by profile     |       length in words         |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                  header extension, that many words            |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |        payload ...            | if P: padding, last byte = n  |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
export function readRtpPacket(
  datagram: Uint8Array,
  packet: RtpPacket,
  length = datagram.length,
): RtpFault | undefined {
  if (length < HEADER_BYTES) return fault(packet, 'too-short', HEADER_BYTES, length);

  const first = datagram[0]!;
  if (first >> 6 !== 2) return fault(packet, 'version', 2, first >> 6);

  packet.csrcCount = first & 0x0f;
  let begin = HEADER_BYTES + 4 * packet.csrcCount;
  if (begin > length) return fault(packet, 'csrc-list', begin, length);

  if ((first & 0x10) !== 0) {
    if (begin + 4 > length) return fault(packet, 'extension', begin + 4, length);
    begin += 4 + 4 * ((datagram[begin + 2]! << 8) | datagram[begin + 3]!);
    if (begin > length) return fault(packet, 'extension', begin, length);
  }

  let end = length;
  if ((first & 0x20) !== 0) {
    // §5.1: the last octet of the padding counts the padding octets, itself included; so 0 cannot be.
    const padding = datagram[length - 1]!;
    if (padding === 0 || begin + padding > length) return fault(packet, 'padding', padding, length - begin);
    end -= padding;
  }
  if (end - begin > PAYLOAD_MAX_BYTES) {
    return fault(packet, 'payload-too-long', end - begin, PAYLOAD_MAX_BYTES);
  }

  const second = datagram[1]!;
  packet.marker = second >= 0x80;
  packet.payloadType = second & 0x7f;
  packet.sequenceNumber = (datagram[2]! << 8) | datagram[3]!;
  packet.timestamp = readUint32(datagram, 4);
  packet.ssrc = readUint32(datagram, 8);
  packet.bytes = datagram;
  packet.payloadBegin = begin;
  packet.payloadEnd = end;
  return undefined;
}

/** A datagram on a media port that is not RTP. The message names the field and both lengths. */
export class RtpParseError extends CallscribeError {
  readonly fault: RtpFault;

  constructor(fault: RtpFault, needed: number, found: number) {
    super('RTP_MALFORMED', `RTP packet, ${fault}: needed ${needed}, found ${found}`);
    this.fault = fault;
  }
}

/**
 * Reads one datagram that is expected to be RTP; for tools and tests. The media path uses `readRtpPacket`.
 * @throws {RtpParseError} naming the field and both lengths
 */
export function parseRtpPacket(datagram: Uint8Array): RtpPacket {
  const packet = new RtpPacket();
  const wrong = readRtpPacket(datagram, packet);
  if (wrong !== undefined) throw new RtpParseError(wrong, packet.neededBytes, packet.foundBytes);
  return packet;
}

/** The contributing sources that a mixer listed, as the datagram holds them; not for a copied packet. */
export function contributingSources(datagram: Uint8Array, packet: RtpPacket): number[] {
  return Array.from({ length: packet.csrcCount }, (_, i) => readUint32(datagram, HEADER_BYTES + 4 * i));
}

/**
 * Whether a datagram on a port that carries both is RTCP. RFC 5761 §4: packet types 192 to 223, which as RTP
 * would be payload types 64 to 95 with the marker set.
 */
export function isRtcp(datagram: Uint8Array): boolean {
  if (datagram.length < 2) return false;
  const packetType = datagram[1]!;
  return packetType >= 192 && packetType <= 223 && datagram[0]! >> 6 === 2;
}

function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function fault(packet: RtpPacket, what: RtpFault, neededBytes: number, foundBytes: number): RtpFault {
  packet.neededBytes = neededBytes;
  packet.foundBytes = foundBytes;
  return what;
}
