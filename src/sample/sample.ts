import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import type { SampleParty } from './dialogue.ts';
import type { TimedWord } from './word-times.ts';

export type { SampleParty } from './dialogue.ts';

/** What is said in the sample call, and when. All times are milliseconds since the first sample of a leg. */
export interface SampleScript {
  readonly durationMs: number;
  /** In the order of the offer's audio lines. Both legs have the same first sample and the same length. */
  readonly legs: readonly SampleLeg[];
  /** In the order of their begin. */
  readonly sentences: readonly ScriptSentence[];
}

export interface SampleLeg {
  readonly party: SampleParty;
  readonly codec: 'PCMA' | 'PCMU';
  readonly file: string;
}

export interface ScriptSentence {
  readonly party: SampleParty;
  readonly text: string;
  /** First and last audible sample of the sentence. */
  readonly beginMs: number;
  readonly endMs: number;
  /** Proportional shares of the sentence (see {@link TimedWord}), not measured. */
  readonly words: readonly TimedWord[];
}

/** Where the committed recordings lie: WAV with G.711 inside (format tags 6 and 7), 8,000 Hz, mono. */
export const samplePaths = {
  agent: fileURLToPath(new URL('./agent.wav', import.meta.url)),
  customer: fileURLToPath(new URL('./customer.wav', import.meta.url)),
  script: fileURLToPath(new URL('./script.json', import.meta.url)),
} as const;

/** Reads the script of the sample call. The file is ours, made by `make-sample.ts`, and not checked again. */
export async function loadSampleScript(): Promise<SampleScript> {
  return JSON.parse(await readFile(samplePaths.script, 'utf8')) as SampleScript;
}
