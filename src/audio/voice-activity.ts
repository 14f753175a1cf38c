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
/**
 * The noise floor is the quietest 30 ms of the last 1.5 s (minimum statistics): even fast speech dips that often,
 * and a steady noise does not stay speech for longer.
 */
const FLOOR_SMOOTH_FRAMES = 3;
const FLOOR_PARTS = 5;
const FLOOR_PART_FRAMES = 30;
/** Until the first part of it is measured. */
const FLOOR_FIRST_RMS = 20;
/** Speech that paused for so long begins anew, with the onset's threshold and count. */
const PAUSE_FRAMES = 20;

/**
 * Energy voice-activity detection, a frame of 10 ms at a time. Pure. The loudness of a frame is its standard
 * deviation, so that a constant offset does not count.
 */
export class VoiceActivity {
  #frameNo = -1;
  readonly #floor = new NoiseFloor();
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
    const floorRms = this.#floor.follow(rms);
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
}

class NoiseFloor {
  #recentRms: number[] = [];
  /** The minimum of each finished part, oldest first. */
  #partMinima: number[] = [];
  #partMin = Infinity;
  #partFrames = 0;

  /** Takes the newest frame; @returns the floor as it was before the frame */
  follow(rms: number): number {
    const floor = Math.min(
      ...this.#partMinima,
      this.#partMinima.length === 0 ? FLOOR_FIRST_RMS : this.#partMin,
    );
    this.#recentRms = [...this.#recentRms.slice(1 - FLOOR_SMOOTH_FRAMES), rms];
    const smooth = this.#recentRms.reduce((sum, value) => sum + value, 0) / this.#recentRms.length;
    this.#partMin = Math.min(this.#partMin, smooth);
    this.#partFrames += 1;
    if (this.#partFrames === FLOOR_PART_FRAMES) {
      this.#partMinima = [...this.#partMinima.slice(1 - FLOOR_PARTS), this.#partMin];
      this.#partMin = Infinity;
      this.#partFrames = 0;
    }
    return floor;
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
