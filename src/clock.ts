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

/** From 1900, where NTP begins, to 1970. */
const NTP_EPOCH_S = 2_208_988_800n;

/** A moment in the 64 bits of NTP: seconds since 1900 with a fraction of 32 bits. */
export function ntpTimestamp(at: Date): bigint {
  const ms = BigInt(at.getTime());
  return ((ms / 1_000n + NTP_EPOCH_S) << 32n) | (((ms % 1_000n) << 32n) / 1_000n);
}
