/**
 * A leg's audio by sample index, as it was when the recogniser got it: what a session reads to send again what a lost
 * connection took with it, and what a stretch is recognised from after the call. The positions are the leg's
 * (8,000 Hz, 0 is its first sample).
 */
export interface LegAudioSource {
  /** Where the audio begins that can still be read: 0, or later where a bounded memory let go of the oldest. */
  readonly beginSample: number;
  /** One past the newest sample that can be read; grows while the leg lasts, with each chunk that it hands out. */
  readonly endSample: number;
  /**
   * Signed 16-bit little-endian PCM, 8,000 Hz, mono: the same bytes that the leg handed out. At most `maxSamples`; fewer
   * where a piece ends, none at `endSample`. A `fromSample` before `beginSample`, and what storage lost, reads as digital
   * zero, so that positions hold.
   *
   * @throws {CallscribeError} where storage fails; the caller may ask again
   */
  read(fromSample: number, maxSamples: number): Promise<Buffer>;
}
