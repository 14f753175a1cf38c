import type { Recognition, RecognitionEvent, SandboxRecogniser } from '../sandbox/recogniser.ts';

/**
 * Hears nothing and answers by the amount of audio, as the service would for somebody who speaks half of the
 * time: in every six seconds three of speech, with a result each 300 ms that has one word more than the one
 * before, then the final one. So the client's work is the real one and the sandbox's next to none.
 */
export const scriptedRecogniser: SandboxRecogniser = {
  name: 'captions',
  description: 'scripted: no recognition; one sentence of ten words in every six seconds of audio',
  open: ({ sampleRateHz }) => new ScriptedRecognition(sampleRateHz, (opened += 1)),
};

/** The same, without a word. */
export const muteRecogniser: SandboxRecogniser = {
  name: 'captions',
  description: 'mute: no recognition and no results',
  open: ({ sampleRateHz }) => new MuteRecognition(sampleRateHz),
};

/** Tasks so far: each begins elsewhere in the script, so that they don't all speak at once. */
let opened = 0;

const PERIOD_MS = 6_000;
const WORD_MS = 300;
const WORDS = ['您好', '我想', '查一下', '这个', '月', '的', '话费', '为什么', '这么', '多'] as const;
const BYTES_PER_SAMPLE = 2;

class MuteRecognition implements Recognition {
  readonly #bytesPerMs: number;
  #bytes = 0;

  constructor(sampleRateHz: number) {
    this.#bytesPerMs = (sampleRateHz * BYTES_PER_SAMPLE) / 1000;
  }

  get audioMs(): number {
    return Math.floor(this.#bytes / this.#bytesPerMs);
  }

  /** Never silent: the sandbox's own limits have no part in this. */
  get lastSpeechMs(): number {
    return this.audioMs;
  }

  feed(pcm: Buffer): RecognitionEvent[] {
    this.#bytes += pcm.length;
    return [];
  }

  flush(): RecognitionEvent[] {
    return [];
  }
}

class ScriptedRecognition extends MuteRecognition {
  readonly #phaseMs: number;
  /** Words of the script that were told, of all sentences so far. */
  #told: number;

  constructor(sampleRateHz: number, taskNo: number) {
    super(sampleRateHz);
    this.#phaseMs = (taskNo * 700) % PERIOD_MS;
    this.#told = wordsBy(this.#phaseMs);
  }

  override feed(pcm: Buffer): RecognitionEvent[] {
    super.feed(pcm);
    const events: RecognitionEvent[] = [];
    const until = wordsBy(this.audioMs + this.#phaseMs);
    for (; this.#told < until; this.#told += 1) events.push(this.#sentence(this.#told));
    return events;
  }

  #sentence(toldWords: number): RecognitionEvent {
    const sentenceNo = Math.floor(toldWords / WORDS.length);
    const beginMs = Math.max(0, sentenceNo * PERIOD_MS - this.#phaseMs);
    const said = WORDS.slice(0, (toldWords % WORDS.length) + 1);
    const words = said.map((text, no) => ({
      beginMs: beginMs + no * WORD_MS,
      endMs: beginMs + (no + 1) * WORD_MS,
      text,
      punctuation: no === WORDS.length - 1 ? '？' : '',
    }));
    const text = said.join('');
    if (said.length < WORDS.length) return { kind: 'partial', beginMs, text, words };
    return { kind: 'final', beginMs, endMs: beginMs + said.length * WORD_MS, text: `${text}？`, words };
  }
}

/** How many words the script has by then. */
function wordsBy(scriptMs: number): number {
  const inPeriod = Math.min(WORDS.length, Math.floor((scriptMs % PERIOD_MS) / WORD_MS));
  return Math.floor(scriptMs / PERIOD_MS) * WORDS.length + inPeriod;
}
