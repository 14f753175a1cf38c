import alawmulaw from 'alawmulaw';

/** The two laws of ITU-T G.711 by their RTP names (RFC 3551): mu-law and A-law. */
export const G711_LAWS = ['PCMU', 'PCMA'] as const;
export type G711Law = (typeof G711_LAWS)[number];

/** What {@link lowBitOfPcm} holds where no code of the law decodes to the value: the audio is not of this law. */
export const NOT_A_CODE = 2;

/**
 * The lowest bit of the code, as it is transmitted, behind each decoded PCM value; index with `sample & 0xffff`.
 *
 * The way back from PCM is exact: A-law's 256 codes decode to 256 values; mu-law's to 255, since 0x7f and 0xff are
 * both zero, but these two have the same lowest bit. Only 16 values belong to both laws, so that a listener who
 * does not know the law finds it out.
 */
export const lowBitOfPcm: Readonly<Record<G711Law, Uint8Array>> = {
  PCMU: lowBits((code) => alawmulaw.mulaw.decodeSample(code)),
  PCMA: lowBits((code) => alawmulaw.alaw.decodeSample(code)),
};

function lowBits(decode: (code: number) => number): Uint8Array {
  const table = new Uint8Array(65_536).fill(NOT_A_CODE);
  for (let code = 0; code < 256; code += 1) table[decode(code) & 0xffff] = code & 1;
  return table;
}
