import { VoiceActivity } from '../audio/voice-activity.ts';

const FRAME_MS = 10;
const FRAME_SAMPLES = 80;
const BYTES_PER_SAMPLE = 2;

/** How much of a caller's audio is speech, counted in frames of 10 ms. */
export class SpeechMeter {
  readonly #activity = new VoiceActivity();
  #frameNo = -1;
  #speechFrames = 0;

  /** @param pcm signed 16-bit little-endian, 8,000 Hz; what is no whole frame at its end is not looked at */
  push(pcm: Buffer): void {
    const frame = new Int16Array(FRAME_SAMPLES);
    const frames = Math.floor(pcm.length / (FRAME_SAMPLES * BYTES_PER_SAMPLE));
    for (let no = 0; no < frames; no++) {
      for (let at = 0; at < FRAME_SAMPLES; at++) {
        frame[at] = pcm.readInt16LE((no * FRAME_SAMPLES + at) * BYTES_PER_SAMPLE);
      }
      this.#frameNo += 1;
      const event = this.#activity.process(frame);
      if (event.kind === 'begin') this.#speechFrames += this.#frameNo - event.beginFrame + 1;
      else if (event.kind === 'active') this.#speechFrames += 1;
    }
  }

  /** Speech since this was asked last. */
  takeMs(): number {
    const speechMs = this.#speechFrames * FRAME_MS;
    this.#speechFrames = 0;
    return speechMs;
  }
}
