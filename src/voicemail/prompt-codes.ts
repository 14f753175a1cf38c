import { decodeG711, encodeG711 } from '../audio/g711.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import type { Prompt } from '../rtp/prompt.ts';

export const PROMPT_RATE_HZ = 8_000;

export const promptMs = (prompt: Prompt): number => prompt.PCMU.length / (PROMPT_RATE_HZ / 1_000);

export const promptOfSamples = (samples: Int16Array): Prompt => ({
  PCMU: encodeG711('PCMU', samples),
  PCMA: encodeG711('PCMA', samples),
});

/** What is G.711 already stays as it is, bit for bit, for callers of its own law. */
export const promptOfG711 = (law: G711Law, codes: Uint8Array): Prompt => {
  const { PCMU, PCMA } = promptOfSamples(decodeG711(law, codes));
  return law === 'PCMU' ? { PCMU: codes, PCMA } : { PCMU, PCMA: codes };
};
