/**
 * Makes the recordings of the sample call, and the script that says what is in them:
 *
 *     apt-get install espeak-ng sox && npx tsx src/sample/make-sample.ts
 *
 * Made once; the result is committed. Nothing else in the repository needs the two programs. The voice is
 * `cmn-latn-pinyin`: with plain `cmn`, espeak-ng 1.51 speaks the pinyin of most characters as English words.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

import { encodeG711 } from '../audio/g711.ts';
import { embedCaption } from '../caption/embed.ts';
import { seededRandom } from '../seeded-random.ts';
import { DIALOGUE, type DialogueLine, type SampleParty, TAIL_MS } from './dialogue.ts';
import { encodeG711Wav } from './g711-wav.ts';
import { type SampleLeg, samplePaths, type SampleScript, type ScriptSentence } from './sample.ts';
import { shareWordTimes } from './word-times.ts';

const SAMPLES_PER_MS = 8;
/** Speech quieter than this, in frames of 5 ms, is not counted as audible: about -38 dB of full scale. */
const AUDIBLE_RMS = 400;
const FRAME_SAMPLES = 40;
/** Noise of a quiet line, about -72 dB of full scale: one quantisation step of G.711 around zero. */
const NOISE_PEAK = 12;

const VOICE: Record<SampleParty, readonly string[]> = {
  agent: ['-v', 'cmn-latn-pinyin+f3', '-p', '58', '-s', '213'],
  customer: ['-v', 'cmn-latn-pinyin+m3', '-p', '42', '-s', '208'],
};
const LEGS: readonly SampleLeg[] = [
  { party: 'agent', codec: 'PCMA', file: 'agent.wav' },
  { party: 'customer', codec: 'PCMU', file: 'customer.wav' },
];

/** A sentence as telephone speech: 8,000 Hz, 200-3,400 Hz, from its first to its last audible sample. */
function speak(line: DialogueLine, text: string): Int16Array {
  const wav = execFileSync('espeak-ng', [...VOICE[line.party], '--stdout', text], { maxBuffer: 2 ** 26 });
  const toTelephone =
    '-t wav - -t raw -e signed -b 16 -r 8000 -c 1 - gain -n -9 highpass 200 lowpass 3400 gain -n -4';
  // What espeak-ng streams has no length in its header; sox says so on standard error.
  const raw = execFileSync('sox', ['-V1', '-D', ...toTelephone.split(' ')], {
    input: wav,
    maxBuffer: 2 ** 26,
  });
  const pcm = Int16Array.from({ length: raw.length >> 1 }, (_, index) => raw.readInt16LE(index * 2));
  return trimToAudible(pcm);
}

function trimToAudible(pcm: Int16Array): Int16Array {
  const audible = (frame: number): boolean => {
    const part = pcm.subarray(frame * FRAME_SAMPLES, (frame + 1) * FRAME_SAMPLES);
    return Math.sqrt(part.reduce((sum, sample) => sum + sample * sample, 0) / part.length) > AUDIBLE_RMS;
  };
  const frames = Math.floor(pcm.length / FRAME_SAMPLES);
  let first = 0;
  let last = frames - 1;
  while (first < last && !audible(first)) first += 1;
  while (last > first && !audible(last)) last -= 1;
  return pcm.slice(first * FRAME_SAMPLES, (last + 1) * FRAME_SAMPLES);
}

const spoken: { sentence: ScriptSentence; pcm: Int16Array }[] = [];
let previousEndMs = 0;
for (const line of DIALOGUE) {
  const text = line.words.replaceAll(' ', '');
  const pcm = speak(line, text);
  const beginMs = previousEndMs + line.gapMs;
  const durationMs = pcm.length / SAMPLES_PER_MS;
  const words = shareWordTimes(line.words, durationMs).map((word) => ({
    ...word,
    beginMs: beginMs + word.beginMs,
    endMs: beginMs + word.endMs,
  }));
  const sentence = { party: line.party, text, beginMs, endMs: beginMs + durationMs, words };
  spoken.push({ sentence, pcm });
  previousEndMs = Math.max(previousEndMs, sentence.endMs);
}
const durationMs = Math.ceil((previousEndMs + TAIL_MS) / 20) * 20;

for (const [legNo, leg] of LEGS.entries()) {
  const random = seededRandom(legNo + 1);
  const pcm = Int16Array.from({ length: durationMs * SAMPLES_PER_MS }, () =>
    Math.round((random() * 2 - 1) * NOISE_PEAK),
  );
  const own = spoken.filter(({ sentence }) => sentence.party === leg.party);
  for (const { sentence, pcm: voice } of own) pcm.set(voice, sentence.beginMs * SAMPLES_PER_MS);
  const codes = encodeG711(leg.codec, pcm);
  for (const { sentence } of own) {
    const { beginMs, endMs, text } = sentence;
    const span = { beginCode: beginMs * SAMPLES_PER_MS, endCode: endMs * SAMPLES_PER_MS };
    const words = sentence.words.map((word) => ({
      ...word,
      beginMs: word.beginMs - beginMs,
      endMs: word.endMs - beginMs,
    }));
    embedCaption(codes, leg.codec, span, { text, words });
  }
  writeFileSync(samplePaths[leg.party], encodeG711Wav(leg.codec, codes));
}
const script: SampleScript = { durationMs, legs: LEGS, sentences: spoken.map(({ sentence }) => sentence) };
writeFileSync(samplePaths.script, `${JSON.stringify(script, undefined, 2)}\n`);
