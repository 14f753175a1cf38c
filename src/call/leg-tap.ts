import type { LegAudio } from '../audio/leg-audio.ts';
import type { LegRecorder } from '../recording/leg-recorder.ts';
import type { MediaSink } from '../rtp/media-sink.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import type { FillCause } from '../rtp/timeline.ts';

/** Why nothing is kept: somebody asked for it (`CallPause`), or the leg is not to be kept before or after now. */
export type MuteCause = 'pause' | 'gate';

/**
 * Where a leg's media divides: into its recording, then to its recogniser, so that what the one was given can be read
 * again from the other. While it is muted both get silence for audio; the clock runs on.
 */
export class LegTap implements MediaSink {
  readonly #recorder: LegRecorder;
  readonly #audio: LegAudio;
  readonly #causes = new Set<MuteCause>();
  #mutedSamples = 0;

  constructor(recorder: LegRecorder, audio: LegAudio) {
    this.#recorder = recorder;
    this.#audio = audio;
  }

  get isMuted(): boolean {
    return this.#causes.size > 0;
  }

  isMutedBy(cause: MuteCause): boolean {
    return this.#causes.has(cause);
  }

  /** Samples of the leg that silence stands for. */
  get mutedSamples(): number {
    return this.#mutedSamples;
  }

  /** Nothing that is said from here on is kept or recognised, until `unmute` of each cause. Idempotent. */
  mute(cause: MuteCause): void {
    if (!this.isMuted) this.#recorder.mark('mute');
    this.#causes.add(cause);
  }

  unmute(cause: MuteCause): void {
    if (this.#causes.delete(cause) && !this.isMuted) this.#recorder.mark('unmute');
  }

  audio(law: G711Law, bytes: Uint8Array, begin: number, end: number): void {
    if (this.isMuted) {
      this.#silence(end - begin);
      return;
    }
    this.#recorder.audio(law, bytes, begin, end);
    this.#audio.audio(law, bytes, begin, end);
  }

  fill(cause: FillCause, samples: number): void {
    if (this.isMuted) {
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
