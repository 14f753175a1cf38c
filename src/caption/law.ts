import { decodeG711 } from '../audio/g711.ts';
import type { G711Law } from '../rtp/payload-map.ts';

export const G711_LAWS = ['PCMU', 'PCMA'] as const satisfies readonly G711Law[];

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
  PCMU: lowBits('PCMU'),
  PCMA: lowBits('PCMA'),
};

function lowBits(law: G711Law): Uint8Array {
  const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
  const table = new Uint8Array(65_536).fill(NOT_A_CODE);
  for (const [code, sample] of decodeG711(law, codes).entries()) table[sample & 0xffff] = code & 1;
  return table;
}
