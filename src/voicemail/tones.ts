import type { Prompt } from '../rtp/prompt.ts';
import { PROMPT_RATE_HZ, promptOfSamples } from './prompt-codes.ts';

interface Tone {
  /** 0: a rest. */
  readonly frequencyHz: number;
  readonly durationMs: number;
}

/** −12 dB of full scale: clear beside speech, and not loud. */
const AMPLITUDE = 8_192;
/** A tone that begins at once clicks. */
const RAMP_MS = 8;

/** Where a route has no greeting of its own. */
export const BUILT_IN_GREETING = promptOfTones([
  { frequencyHz: 523, durationMs: 200 },
  { frequencyHz: 659, durationMs: 200 },
  { frequencyHz: 784, durationMs: 300 },
  { frequencyHz: 0, durationMs: 300 },
]);

export const BUILT_IN_BEEP = promptOfTones([{ frequencyHz: 1_000, durationMs: 300 }]);

/** The message has ended; the line is let go. */
export const CLOSING_TONE = promptOfTones([
  { frequencyHz: 784, durationMs: 150 },
  { frequencyHz: 0, durationMs: 50 },
  { frequencyHz: 523, durationMs: 250 },
]);

function promptOfTones(tones: readonly Tone[]): Prompt {
  return promptOfSamples(Int16Array.from(tones.flatMap(samplesOf)));
}

function samplesOf({ frequencyHz, durationMs }: Tone): number[] {
  const length = (durationMs * PROMPT_RATE_HZ) / 1_000;
  const ramp = (RAMP_MS * PROMPT_RATE_HZ) / 1_000;
  return Array.from({ length }, (_, no) => {
    const gain = Math.min(1, no / ramp, (length - 1 - no) / ramp);
    return Math.round(AMPLITUDE * gain * Math.sin((2 * Math.PI * frequencyHz * no) / PROMPT_RATE_HZ));
  });
}
