/** What a frame of 10 ms tells; positions are frame numbers since the first. */
export type VoiceEvent =
  | { readonly kind: 'begin'; readonly beginFrame: number }
  /** This frame is speech. */
  | { readonly kind: 'active' }
  | { readonly kind: 'quiet' };

/** Below this nothing is speech, however quiet the line is: -49 dB of full scale. */
const ONSET_MIN_RMS = 120;
const HOLD_MIN_RMS = 80;
/** Speech must stand out from the noise floor by 12 dB to begin, by 8 dB to go on. */
const ONSET_RATIO = 4;
const HOLD_RATIO = 2.5;
/** 30 ms within 40 ms: shorter is a click. */
const ONSET_FRAMES = 3;
const ONSET_WINDOW_FRAMES = 4;
/** The noise floor follows what is quieter within some 30 ms, and what is louder slowly: 3 dB/s, in speech 0.5 dB/s. */
const FLOOR_FALL = 0.3;
const FLOOR_RISE_QUIET = 10 ** (3 / 20 / 100);
const FLOOR_RISE_SPEECH = 10 ** (0.5 / 20 / 100);
const FLOOR_MIN_RMS = 4;
/** Speech that paused for so long begins anew, with the onset's threshold and count. */
const PAUSE_FRAMES = 20;

/**
 * Energy voice-activity detection, a frame of 10 ms at a time. Pure. The loudness of a frame is its standard
 * deviation, so that a constant offset does not count.
 */
export class VoiceActivity {
  #frameNo = -1;
  #floorRms = 20;
  #loudFrames: number[] = [];
  #speaking = false;
  #quietFrames = 0;

  /** Whether the newest frames are speech, short pauses included. */
  get speaking(): boolean {
    return this.#speaking;
  }

  process(frame: Int16Array): VoiceEvent {
    this.#frameNo += 1;
    const rms = deviation(frame);
    const floorRms = this.#floorRms;
    this.#followFloor(rms);
    return this.#speaking ? this.#hold(rms, floorRms) : this.#onset(rms, floorRms);
  }

  #onset(rms: number, floorRms: number): VoiceEvent {
    const loud = rms > Math.max(ONSET_MIN_RMS, floorRms * ONSET_RATIO);
    if (loud) this.#loudFrames.push(this.#frameNo);
    this.#loudFrames = this.#loudFrames.filter((no) => no > this.#frameNo - ONSET_WINDOW_FRAMES);
    if (this.#loudFrames.length < ONSET_FRAMES) return { kind: 'quiet' };
    const beginFrame = this.#loudFrames[0]!;
    this.#loudFrames = [];
    this.#speaking = true;
    this.#quietFrames = 0;
    return { kind: 'begin', beginFrame };
  }

  #hold(rms: number, floorRms: number): VoiceEvent {
    if (rms > Math.max(HOLD_MIN_RMS, floorRms * HOLD_RATIO)) {
      this.#quietFrames = 0;
      return { kind: 'active' };
    }
    this.#quietFrames += 1;
    if (this.#quietFrames >= PAUSE_FRAMES) this.#speaking = false;
    return { kind: 'quiet' };
  }

  #followFloor(rms: number): void {
    const rise = this.#speaking ? FLOOR_RISE_SPEECH : FLOOR_RISE_QUIET;
    const next =
      rms < this.#floorRms
        ? this.#floorRms + (rms - this.#floorRms) * FLOOR_FALL
        : Math.min(rms, this.#floorRms * rise);
    this.#floorRms = Math.max(FLOOR_MIN_RMS, next);
  }
}

function deviation(frame: Int16Array): number {
  let sum = 0;
  let squares = 0;
  for (const sample of frame) {
    sum += sample;
    squares += sample * sample;
  }
  const mean = sum / frame.length;
  return Math.sqrt(Math.max(0, squares / frame.length - mean * mean));
}
