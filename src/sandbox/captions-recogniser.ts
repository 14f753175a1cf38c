import { VoiceActivity, type VoiceEvent } from '../audio/voice-activity.ts';
import type { Caption } from '../caption/caption.ts';
import { markDamaged, speechPlaceholder } from '../caption/placeholder.ts';
import { type CaptionEvent, CaptionReader } from '../caption/reader.ts';
import type {
  Recognition,
  RecognitionEvent,
  RecognitionOptions,
  RecognitionWord,
  SandboxRecogniser,
} from './recogniser.ts';

/**
 * No recogniser at all: reads the captions that our sample recordings carry inside their audio. Speech without a
 * caption becomes a placeholder such as `[speech 1.2 s]`.
 */
export const captionsRecogniser: SandboxRecogniser = {
  name: 'captions',
  description:
    'captions: no speech recognition; texts are read from captions inside the sample audio, other speech becomes "[speech 1.2 s]"',
  open: (options) => new CaptionsRecognition(options),
};

/** Captions count G.711 codes; audio of another rate was resampled and has none. */
const CAPTION_RATE_HZ = 8000;
const FRAME_MS = 10;
const PARTIAL_INTERVAL_MS = 250;
/** Speech so near to a captioned sentence belongs to it: the ear and the energy do not agree to the frame. */
const CAPTION_MARGIN_MS = 200;
/** Less speech than this is a click or a knock. */
const SPEECH_MIN_FRAMES = 8;
/** Nobody speaks so long without a pause; hold music does. The sentence is cut there. */
const SPEECH_MAX_MS = 60_000;

/**
 * The sentence that is being heard:
 *
 *     none ──speech──▶ speech ──silence──▶ final, none
 *      │                 │ caption read
 *      └──caption read──▶ captioned ──its end, then silence or the next sentence──▶ final, none
 */
type Open = SpeechOpen | CaptionedOpen;

/** Found by energy. `caption` says whether one began in it: `pending` while its first copy is being read. */
interface SpeechOpen {
  readonly kind: 'speech';
  readonly beginMs: number;
  lastActiveMs: number;
  activeFrames: number;
  caption: 'none' | 'pending' | 'damaged';
  /** `lastActiveMs` as it was when a caption began. */
  activeBeforeCaptionMs: number | undefined;
}

/** Its times are those of the captioned codes, as counted in the audio that came. */
interface CaptionedOpen {
  readonly kind: 'captioned';
  readonly beginMs: number;
  readonly expectedEndMs: number;
  readonly caption: Caption;
  end: { readonly ms: number; readonly damaged: boolean } | undefined;
}

class CaptionsRecognition implements Recognition {
  readonly #sentenceSilenceMs: number;
  readonly #reader: CaptionReader | undefined;
  readonly #voice = new VoiceActivity();
  readonly #samplesPerMs: number;
  readonly #frame: Int16Array;
  #frameFill = 0;
  /** Samples of the frame that is being filled; rates such as 11,025 Hz have frames of two lengths. */
  #frameSamples: number;
  #framesDone = 0;
  /** The low byte of a sample whose high byte has not come. */
  #oddByte: number | undefined;
  #open: Open | undefined;
  /** A caption that began where no sentence is open yet. */
  #hint: { readonly atMs: number; readonly caption: 'pending' | 'damaged' } | undefined;
  #nextPartialMs = 0;
  #partialText: string | undefined;
  #lastSpeechMs = 0;
  #out: RecognitionEvent[] = [];

  constructor(options: RecognitionOptions) {
    this.#sentenceSilenceMs = options.sentenceSilenceMs;
    this.#samplesPerMs = options.sampleRateHz / 1000;
    this.#frame = new Int16Array(Math.ceil(this.#samplesPerMs * FRAME_MS));
    this.#frameSamples = this.#samplesUpTo(1);
    if (options.sampleRateHz === CAPTION_RATE_HZ) this.#reader = new CaptionReader();
  }

  get audioMs(): number {
    return this.#framesDone * FRAME_MS + Math.floor(this.#frameFill / this.#samplesPerMs);
  }

  get lastSpeechMs(): number {
    return this.#lastSpeechMs;
  }

  feed(pcm: Buffer): RecognitionEvent[] {
    let index = 0;
    if (this.#oddByte !== undefined && pcm.length > 0) {
      this.#take(((pcm[0]! << 24) >> 16) | this.#oddByte);
      this.#oddByte = undefined;
      index = 1;
    }
    for (; index + 1 < pcm.length; index += 2) this.#take(pcm.readInt16LE(index));
    if (index < pcm.length) this.#oddByte = pcm[index];
    return this.#drain();
  }

  flush(): RecognitionEvent[] {
    for (const event of this.#reader?.feed(this.#frame.subarray(0, this.#frameFill)) ?? []) {
      this.#onCaption(event);
    }
    for (const event of this.#reader?.finish() ?? []) this.#onCaption(event);
    this.#frameFill = 0;
    this.#close();
    return this.#drain();
  }

  /** Where frame n ends, rounded so that no rate drifts. */
  #samplesUpTo(frameNo: number): number {
    return Math.round(frameNo * FRAME_MS * this.#samplesPerMs);
  }

  #drain(): RecognitionEvent[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  #take(sample: number): void {
    this.#frame[this.#frameFill] = sample;
    this.#frameFill += 1;
    if (this.#frameFill < this.#frameSamples) return;
    const frame = this.#frame.subarray(0, this.#frameSamples);
    this.#frameFill = 0;
    this.#framesDone += 1;
    this.#frameSamples = this.#samplesUpTo(this.#framesDone + 1) - this.#samplesUpTo(this.#framesDone);
    for (const event of this.#reader?.feed(frame) ?? []) this.#onCaption(event);
    this.#onVoice(this.#voice.process(frame));
    this.#closeAfterSilence();
    this.#tellPartial();
  }

  /** Codes to milliseconds; only at {@link CAPTION_RATE_HZ}. */
  #onCaption(event: CaptionEvent): void {
    const toMs = (code: number): number => Math.round(code / this.#samplesPerMs);
    switch (event.kind) {
      case 'sync':
        this.#hintAt(toMs(event.atCode), 'pending');
        return;
      case 'unreadable':
        this.#hintAt(toMs(event.atCode), 'damaged');
        return;
      case 'caption': {
        const beginMs = toMs(event.beginCode);
        this.#hint = undefined;
        if (this.#open?.kind === 'captioned') this.#close();
        if (this.#open?.kind === 'speech' && this.#open.beginMs < beginMs - CAPTION_MARGIN_MS) {
          // Someone spoke before the recording's sentence; what followed is the sentence's own.
          this.#open.lastActiveMs = this.#open.activeBeforeCaptionMs ?? beginMs;
          this.#open.caption = 'none';
          this.#close();
        }
        const { caption } = event;
        this.#begin({
          kind: 'captioned',
          beginMs,
          expectedEndMs: toMs(event.endCode),
          caption,
          end: undefined,
        });
        return;
      }
      case 'end':
        if (this.#open?.kind === 'captioned') {
          this.#open.end = { ms: toMs(event.endCode), damaged: event.damaged };
        }
        return;
      default:
        event satisfies never;
    }
  }

  #hintAt(atMs: number, caption: 'pending' | 'damaged'): void {
    if (this.#open?.kind !== 'speech') {
      this.#hint = { atMs, caption };
      return;
    }
    this.#open.caption = caption;
    this.#open.activeBeforeCaptionMs ??= Math.min(this.#open.lastActiveMs, atMs);
  }

  #onVoice(event: VoiceEvent): void {
    const nowMs = this.#framesDone * FRAME_MS;
    const open = this.#open;
    if (open?.kind === 'captioned' && open.end === undefined) {
      this.#lastSpeechMs = nowMs;
      return;
    }
    if (event.kind === 'quiet') return;
    this.#lastSpeechMs = nowMs;
    if (open?.kind === 'speech') {
      open.lastActiveMs = nowMs;
      open.activeFrames += 1;
      return;
    }
    let beginMs = event.kind === 'begin' ? event.beginFrame * FRAME_MS : nowMs - FRAME_MS;
    if (open?.end !== undefined) {
      if (nowMs < open.end.ms + CAPTION_MARGIN_MS) return;
      beginMs = Math.max(beginMs, open.end.ms);
      this.#close();
    }
    const hint = this.#hint;
    this.#hint = undefined;
    const caption = hint !== undefined && hint.atMs >= beginMs - CAPTION_MARGIN_MS ? hint.caption : 'none';
    this.#begin({
      kind: 'speech',
      beginMs,
      lastActiveMs: nowMs,
      activeFrames: 1,
      caption,
      activeBeforeCaptionMs: undefined,
    });
  }

  #begin(open: Open): void {
    // A sentence that was open as speech and turned out to be captioned keeps the rhythm of its partials.
    if (this.#open === undefined) {
      this.#nextPartialMs = open.beginMs + PARTIAL_INTERVAL_MS;
      this.#partialText = undefined;
    }
    this.#open = open;
  }

  #closeAfterSilence(): void {
    const open = this.#open;
    if (open === undefined) return;
    const nowMs = this.#framesDone * FRAME_MS;
    if (open.kind === 'speech') {
      const silent = nowMs - open.lastActiveMs >= this.#sentenceSilenceMs && open.caption !== 'pending';
      if (silent || nowMs - open.beginMs >= SPEECH_MAX_MS) this.#close();
    } else if (open.end !== undefined && nowMs - open.end.ms >= this.#sentenceSilenceMs) {
      this.#close();
    }
  }

  #tellPartial(): void {
    const nowMs = this.#framesDone * FRAME_MS;
    const open = this.#open;
    if (open === undefined || nowMs < this.#nextPartialMs) return;
    if (open.kind === 'speech' && open.activeFrames < SPEECH_MIN_FRAMES) return;
    const speechEndMs = open.kind === 'speech' ? open.lastActiveMs : (open.end?.ms ?? nowMs);
    if (speechEndMs <= this.#nextPartialMs - PARTIAL_INTERVAL_MS) return;
    this.#nextPartialMs = nowMs + PARTIAL_INTERVAL_MS;
    const { beginMs } = open;
    const words = wordsOf(open, speechEndMs);
    const text = open.kind === 'speech' ? (words[0]?.text ?? '') : textUpTo(open.caption, words.length);
    if (text === this.#partialText) return;
    this.#partialText = text;
    this.#out.push({ kind: 'partial', beginMs, text, words });
  }

  /** Gives the open sentence as final. */
  #close(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    const { beginMs } = open;
    if (open.kind === 'speech') {
      if (open.activeFrames < SPEECH_MIN_FRAMES) return;
      if (open.caption === 'pending') open.caption = 'damaged';
      const words = wordsOf(open, open.lastActiveMs);
      const text = words[0]?.text ?? '';
      this.#out.push({ kind: 'final', beginMs, endMs: open.lastActiveMs, text, words });
      return;
    }
    const end = open.end ?? { ms: Math.min(open.expectedEndMs, this.audioMs), damaged: true };
    const words = wordsOf(open, end.ms);
    const whole = words.length === open.caption.words.length && end.ms >= open.expectedEndMs;
    const text = whole ? open.caption.text : textUpTo(open.caption, words.length);
    this.#out.push({
      kind: 'final',
      beginMs,
      endMs: end.ms,
      text: end.damaged ? markDamaged(text) : text,
      words,
    });
  }
}

/** What was said by `untilMs`. */
function wordsOf(open: Open, untilMs: number): RecognitionWord[] {
  const { beginMs } = open;
  if (open.kind === 'captioned') {
    return open.caption.words
      .filter((word) => beginMs + word.beginMs < untilMs)
      .map((word) => ({ ...word, beginMs: beginMs + word.beginMs, endMs: beginMs + word.endMs }));
  }
  if (open.caption === 'pending') return [];
  const text = speechPlaceholder(untilMs - beginMs, open.caption);
  return [{ beginMs, endMs: untilMs, text, punctuation: '' }];
}

/** The caption's text up to the end of its n-th word, without the punctuation that follows. */
function textUpTo(caption: Caption, wordCount: number): string {
  let end = 0;
  for (const word of caption.words.slice(0, wordCount)) {
    const at = caption.text.indexOf(word.text, end);
    if (at >= 0) end = at + word.text.length;
  }
  return caption.text.slice(0, end);
}
