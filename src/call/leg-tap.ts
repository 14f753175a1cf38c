import type { LegAudio } from '../audio/leg-audio.ts';
import type { LegRecorder } from '../recording/leg-recorder.ts';
import type { MediaSink } from '../rtp/media-sink.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import type { FillCause } from '../rtp/timeline.ts';

/**
 * Where a leg's media divides: into its recording, then to its recogniser, so that what the one was given can be read
 * again from the other. While it is muted both get silence for audio; the clock runs on.
 */
export class LegTap implements MediaSink {
  readonly #recorder: LegRecorder;
  readonly #audio: LegAudio;
  #gate: 'open' | 'muted' = 'open';
  #mutedSamples = 0;

  constructor(recorder: LegRecorder, audio: LegAudio) {
    this.#recorder = recorder;
    this.#audio = audio;
  }

  get isMuted(): boolean {
    return this.#gate === 'muted';
  }

  /** Samples of the leg that silence stands for. */
  get mutedSamples(): number {
    return this.#mutedSamples;
  }

  /** Nothing that is said from here on is kept or recognised, until `unmute`. Idempotent. */
  mute(): void {
    if (this.#gate === 'open') this.#recorder.mark('mute');
    this.#gate = 'muted';
  }

  unmute(): void {
    if (this.#gate === 'muted') this.#recorder.mark('unmute');
    this.#gate = 'open';
  }

  audio(law: G711Law, bytes: Uint8Array, begin: number, end: number): void {
    if (this.#gate === 'muted') {
      this.#silence(end - begin);
      return;
    }
    this.#recorder.audio(law, bytes, begin, end);
    this.#audio.audio(law, bytes, begin, end);
  }

  fill(cause: FillCause, samples: number): void {
    if (this.#gate === 'muted') {
      // Concealment of a loss would be made of what was said before.
      this.#silence(samples);
      return;
    }
    this.#recorder.fill(cause, samples);
    this.#audio.fill(cause, samples);
  }

  lost(beginSample: number, samples: number): void {
    this.#recorder.lost(beginSample, samples);
    this.#audio.lost(beginSample, samples);
  }

  end(): void {
    this.#recorder.end();
    this.#audio.end();
  }

  #silence(samples: number): void {
    this.#mutedSamples += samples;
    this.#recorder.fill('muted', samples);
    this.#audio.fill('silence', samples);
  }
}
