import { readFile } from 'node:fs/promises';

import { readAudioFile } from '../../src/caller/audio-file.ts';
import { loadSampleScript, samplePaths, type ScriptSentence } from '../../src/sample/sample.ts';

/** One sentence of the sample call with its audio, and silence around it. */
export interface SampleSlice {
  readonly sentence: ScriptSentence;
  readonly codec: 'PCMA' | 'PCMU';
  readonly codes: Uint8Array;
  /** Where the sentence stands in the slice. */
  readonly beginMs: number;
  readonly endMs: number;
}

const LEAD_MS = 400;
/** Longer than the silence that ends a sentence (800 ms). */
const TAIL_MS = 1_200;

/** Every sentence of one party, cut out of the sample call. */
export async function sampleSlices(party: 'agent' | 'customer'): Promise<readonly SampleSlice[]> {
  const script = await loadSampleScript();
  const path = samplePaths[party];
  const [audio] = readAudioFile(path, await readFile(path));
  if (audio?.kind !== 'g711') throw new Error('the sample recordings are G.711');
  const sentences = script.sentences.filter((sentence) => sentence.party === party);
  return sentences.map((sentence, index) => {
    const fromMs = Math.max(0, sentence.beginMs - LEAD_MS);
    const nextMs = sentences[index + 1]?.beginMs ?? Number.POSITIVE_INFINITY;
    const toMs = Math.min(sentence.endMs + TAIL_MS, nextMs - 40);
    return {
      sentence,
      codec: audio.codec,
      codes: audio.codes.slice(fromMs * CODES_PER_MS, toMs * CODES_PER_MS),
      beginMs: sentence.beginMs - fromMs,
      endMs: sentence.endMs - fromMs,
    };
  });
}

const CODES_PER_MS = 8;
