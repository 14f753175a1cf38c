import { encodeG711 } from '../audio/g711.ts';
import { embedCaption } from '../caption/embed.ts';
import { seededRandom } from '../seeded-random.ts';
import type { SpokenLeg, SpokenSentence } from './script.ts';

const CODES_PER_MS = 8;
const SPEECH_PEAK = 8_000;
/** A quiet line. */
const NOISE_PEAK = 10;
/** Repeated as often as needed: a recogniser by energy hears no difference. */
const PATTERN_MS = 2_000;
const SWELL_MS = 200;

type Law = SpokenLeg['codec'];
type Pattern = Readonly<Record<'speech' | 'quiet', Uint8Array>>;
const patterns = new Map<Law, Pattern>();

/** A leg as G.711 codes: noise that swells where somebody speaks, each sentence with its text as a caption. */
export function legCodes({ codec, sentences }: SpokenLeg, durationMs: number): Uint8Array {
  const { speech, quiet } = patternOf(codec);
  const codes = new Uint8Array(durationMs * CODES_PER_MS);
  for (let at = 0; at < codes.length; at += quiet.length) {
    codes.set(quiet.subarray(0, Math.min(quiet.length, codes.length - at)), at);
  }
  for (const sentence of sentences) {
    const span = { beginCode: sentence.beginMs * CODES_PER_MS, endCode: sentence.endMs * CODES_PER_MS };
    codes.set(speech.subarray(0, span.endCode - span.beginCode), span.beginCode);
    embedCaption(codes, codec, span, { text: sentence.text, words: [wordOf(sentence)] });
  }
  return codes;
}

/** One word, so that the caption is short and comes several times. */
function wordOf({ text, beginMs, endMs }: SpokenSentence): {
  text: string;
  punctuation: string;
  beginMs: number;
  endMs: number;
} {
  return { text: text.slice(0, -1), punctuation: text.slice(-1), beginMs: 0, endMs: endMs - beginMs };
}

function patternOf(law: Law): Pattern {
  const known = patterns.get(law);
  if (known !== undefined) return known;
  const random = seededRandom(1);
  const samples = PATTERN_MS * CODES_PER_MS;
  const pcm = (peakAt: (ms: number) => number): Int16Array =>
    Int16Array.from({ length: samples }, (_, sample) =>
      Math.round((random() * 2 - 1) * peakAt(sample / CODES_PER_MS)),
    );
  const swell = (ms: number): number =>
    SPEECH_PEAK * (0.3 + 0.7 * Math.abs(Math.cos((ms * Math.PI) / SWELL_MS)));
  const pattern = {
    speech: encodeG711(law, pcm(swell)),
    quiet: encodeG711(
      law,
      pcm(() => NOISE_PEAK),
    ),
  };
  patterns.set(law, pattern);
  return pattern;
}
