import alawmulaw from 'alawmulaw';

/** The two laws of ITU-T G.711, by their RTP names (RFC 3551 §4.5.14). */
export type G711Codec = 'PCMA' | 'PCMU';

/** Static payload types (RFC 3551 §6, table 4). */
export const G711_PAYLOAD_TYPE: Readonly<Record<G711Codec, number>> = { PCMU: 0, PCMA: 8 };

const LAW = { PCMA: alawmulaw.alaw, PCMU: alawmulaw.mulaw };

export function encodeG711(codec: G711Codec, pcm: Int16Array): Uint8Array {
  return LAW[codec].encode(pcm);
}

/** Codes of the other law; the same array where the law is already the asked one, so nothing is lost then. */
export function transcodeG711(codes: Uint8Array, from: G711Codec, to: G711Codec): Uint8Array {
  return from === to ? codes : LAW[to].encode(LAW[from].decode(codes));
}
