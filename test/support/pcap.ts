import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One UDP datagram of a capture. */
export interface CapturedDatagram {
  readonly atMs: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly payload: Buffer;
}

/** Captures and vectors that lie beside the repository, not in it; a test that needs them is skipped without. */
export const MATERIAL = fileURLToPath(new URL('../../../shared/material/', import.meta.url));
export const hasMaterial = existsSync(MATERIAL);

/** Bytes before the IP header, by link type: Ethernet, Linux cooked. */
const LINK_HEADER_BYTES = new Map([
  [1, 14],
  [113, 16],
]);

/**
 * Reads the UDP datagrams over IPv4 of a libpcap file (little-endian, microseconds), as far as the captures of our
 * tests need: no fragments, no VLAN tags, no pcapng.
 */
export function readPcap(path: string): CapturedDatagram[] {
  const file = readFileSync(path);
  if (file.readUInt32LE(0) !== 0xa1b2c3d4) throw new Error('no little-endian libpcap file');
  const linkType = file.readUInt32LE(20);
  const linkBytes = LINK_HEADER_BYTES.get(linkType);
  if (linkBytes === undefined) throw new Error(`link type ${linkType} is not read here`);

  const datagrams: CapturedDatagram[] = [];
  for (let at = 24; at < file.length;) {
    const atMs = file.readUInt32LE(at) * 1_000 + file.readUInt32LE(at + 4) / 1_000;
    const end = at + 16 + file.readUInt32LE(at + 8);
    const ip = file.subarray(at + 16 + linkBytes, end);
    at = end;
    if (ip.length < 28 || ip[0]! >> 4 !== 4 || ip[9] !== 17) continue;
    const udp = ip.subarray((ip[0]! & 0x0f) * 4);
    datagrams.push({
      atMs,
      source: [...ip.subarray(12, 16)].join('.'),
      sourcePort: udp.readUInt16BE(0),
      destination: [...ip.subarray(16, 20)].join('.'),
      destinationPort: udp.readUInt16BE(2),
      payload: udp.subarray(8, udp.readUInt16BE(4)),
    });
  }
  return datagrams;
}
