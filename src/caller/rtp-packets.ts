import { createRequire } from 'node:module';

import { G711_PAYLOAD_TYPE, type G711Codec } from './g711.ts';
import type { KeyPacket } from './key-plan.ts';

/** The part of `node-rtp` 0.1.1 that we use; it comes without types. */
interface NodeRtpPacket {
  marker: boolean;
  type: number;
  seq: number;
  time: number;
  source: number;
  readonly packet: Buffer;
}
interface NodeRtp {
  readonly RtpPacket: new (payload: Buffer) => NodeRtpPacket;
}

// The library adds a method to Number.prototype when it is loaded, so it stays in the caller's own process. Its
// index also starts a codec; the packet class alone does not.
const { RtpPacket } = createRequire(import.meta.url)('node-rtp/lib/RtpPacket.js') as NodeRtp;

export interface RtpStart {
  readonly ssrc: number;
  readonly sequenceNumber: number;
  readonly rtpTimestamp: number;
}

export interface RtpPacketsOptions extends RtpStart {
  readonly codec: G711Codec;
  readonly codes: Uint8Array;
  readonly ptimeMs: number;
}

const CODES_PER_MS = 8;
const END_BIT = 0x80;
/** −10 dBm0 (§2.3.4). */
const VOLUME = 10;

export function packetCount(codes: Uint8Array, ptimeMs: number): number {
  return Math.ceil(codes.length / (ptimeMs * CODES_PER_MS));
}

/** Packet `packetNo` of a leg (RFC 3550 §5.1); the last one may be shorter. The first begins a talkspurt. */
export function buildRtpPacket(options: RtpPacketsOptions, packetNo: number): Buffer {
  const { codec, codes, ptimeMs } = options;
  const packetCodes = ptimeMs * CODES_PER_MS;
  const payload = Buffer.from(codes.subarray(packetNo * packetCodes, (packetNo + 1) * packetCodes));
  const time = packetNo * packetCodes;
  return build(options, packetNo, payload, { type: G711_PAYLOAD_TYPE[codec], time, marker: packetNo === 0 });
}

/** A packet of a key's event in the place of packet `packetNo` (RFC 4733 §2.3, §2.5.1.2). */
export function buildKeyPacket(
  options: RtpStart & { readonly ptimeMs: number; readonly payloadType: number },
  packetNo: number,
  { code, beginPacketNo, durationCodes, isEnd }: KeyPacket,
): Buffer {
  const payload = Buffer.of(code, (isEnd ? END_BIT : 0) | VOLUME, durationCodes >> 8, durationCodes & 0xff);
  const time = beginPacketNo * options.ptimeMs * CODES_PER_MS;
  return build(options, packetNo, payload, {
    type: options.payloadType,
    time,
    marker: packetNo === beginPacketNo,
  });
}

function build(
  { ssrc, sequenceNumber, rtpTimestamp }: RtpStart,
  packetNo: number,
  payload: Buffer,
  { type, time, marker }: Pick<NodeRtpPacket, 'type' | 'time' | 'marker'>,
): Buffer {
  const packet = new RtpPacket(payload);
  packet.marker = marker;
  packet.type = type;
  packet.seq = (sequenceNumber + packetNo) % 2 ** 16;
  packet.time = (rtpTimestamp + time) % 2 ** 32;
  packet.source = ssrc;
  return packet.packet;
}
