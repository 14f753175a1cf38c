import { decodeG711, encodeG711 } from '../audio/g711.ts';

/** The two laws of ITU-T G.711, by their RTP names (RFC 3551 §4.5.14). */
export type G711Codec = 'PCMA' | 'PCMU';

/** Static payload types (RFC 3551 §6, table 4). */
export const G711_PAYLOAD_TYPE: Readonly<Record<G711Codec, number>> = { PCMU: 0, PCMA: 8 };

/** Codes of the other law; the same array where the law is already the asked one, so nothing is lost then. */
export function transcodeG711(codes: Uint8Array, from: G711Codec, to: G711Codec): Uint8Array {
  return from === to ? codes : encodeG711(to, decodeG711(from, codes));
}
