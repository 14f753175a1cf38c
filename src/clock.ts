/**
 * Time as an argument, so that pure code and tests own it. The two readings are never mixed: durations come
 * from `monotonicMs`, rows and logs from `wallTime`.
 */
export interface Clock {
  /** Milliseconds since an arbitrary start, with fractions; never goes back. */
  monotonicMs(): number;
  wallTime(): Date;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallTime: () => new Date(),
};
