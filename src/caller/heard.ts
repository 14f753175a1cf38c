import { RtpPacket } from 'werift-rtp';

import { G711_SILENCE } from '../audio/g711.ts';
import { G711_PAYLOAD_TYPE, type G711Codec, transcodeG711 } from './g711.ts';
import type { HeardDatagram } from './hearing.ts';

/** An RTP packet that came back. */
export interface HeardPacket {
  /** Since our first packet was due; negative before it. */
  readonly arrivalMs: number;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly marker: boolean;
  readonly codec: G711Codec;
  readonly codes: Uint8Array;
}

/** All that came back on one leg. */
export interface HeardPackets {
  /** In the order of their arrival. */
  readonly packets: readonly HeardPacket[];
  /** Neither RTP with G.711, nor under the agreed key. */
  readonly unreadable: number;
  /** From another address than the one that was answered. */
  readonly foreign: number;
}

export interface HeardReading {
  /** The answered address: what is heard comes from where we send to (RFC 4961). */
  readonly from: { readonly address: string; readonly port: number };
  /** Takes the protection off; undefined for what is not under the key. */
  readonly open: (datagram: Buffer) => Buffer | undefined;
  /** When our first packet was due, on the clock of the arrivals. */
  readonly startMs: number;
}

const VERSION_BITS = 0x80;
const CODECS = ['PCMU', 'PCMA'] as const;
const HEADER_BYTES = 12;
const CODES_PER_MS = 8;

export function readHeard(datagrams: readonly HeardDatagram[], reading: HeardReading): HeardPackets {
  const { from, open, startMs } = reading;
  const isOfPeer = ({ address, port }: HeardDatagram): boolean =>
    port === from.port && address === from.address;
  const own = datagrams.filter(isOfPeer);
  const packets = own.flatMap(({ bytes, arrivalMs }) => readPacket(open(bytes), arrivalMs - startMs) ?? []);
  return { packets, unreadable: own.length - packets.length, foreign: datagrams.length - own.length };
}

/**
 * The audio by the timestamps of its packets, silence where there are none; another SSRC goes where it arrived.
 *
 * @param maxMs what lies beyond is left out
 */
export function layOut(
  packets: readonly HeardPacket[],
  maxMs: number,
): { readonly codec: G711Codec; readonly codes: Uint8Array } | undefined {
  const [first] = packets;
  if (first === undefined) return undefined;
  const { codec } = first;
  const firsts = new Map<number, HeardPacket>();
  const placed = packets.flatMap((packet) => {
    const origin = firsts.get(packet.ssrc) ?? packet;
    firsts.set(packet.ssrc, origin);
    const originAt = Math.round((origin.arrivalMs - first.arrivalMs) * CODES_PER_MS);
    const at = originAt + ((packet.timestamp - origin.timestamp) | 0);
    return at < 0 || at + packet.codes.length > maxMs * CODES_PER_MS ? [] : [{ at, packet }];
  });
  const length = placed.reduce((end, { at, packet }) => Math.max(end, at + packet.codes.length), 0);
  const codes = new Uint8Array(length).fill(G711_SILENCE[codec]);
  for (const { at, packet } of placed) codes.set(transcodeG711(packet.codes, packet.codec, codec), at);
  return { codec, codes };
}

/** By another reader than the one of the receiver. */
function readPacket(bytes: Buffer | undefined, arrivalMs: number): HeardPacket | undefined {
  if (bytes === undefined || bytes.length <= HEADER_BYTES || (bytes[0]! & 0xc0) !== VERSION_BITS) {
    return undefined;
  }
  try {
    const { header, payload } = RtpPacket.deSerialize(bytes);
    const codec = CODECS.find((law) => G711_PAYLOAD_TYPE[law] === header.payloadType);
    if (codec === undefined) return undefined;
    const { sequenceNumber, timestamp, ssrc, marker } = header;
    return { arrivalMs, sequenceNumber, timestamp, ssrc, marker, codec, codes: new Uint8Array(payload) };
  } catch {
    // The library throws at a header that is cut off.
    return undefined;
  }
}
