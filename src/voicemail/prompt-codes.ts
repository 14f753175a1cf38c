import { encodeG711 } from '../audio/g711.ts';
import type { Prompt } from '../rtp/prompt.ts';

export const PROMPT_RATE_HZ = 8_000;

export const promptOfSamples = (samples: Int16Array): Prompt => ({
  PCMU: encodeG711('PCMU', samples),
  PCMA: encodeG711('PCMA', samples),
});
