/** Three packets of 20 ms: a gap is never given up sooner. */
export const GAP_HOLD_MIN_MS = 60;
/** Until the network has shown what it is like. */
export const GAP_HOLD_START_MS = 80;
/** The bound: no gap is waited for longer, whatever the network does. Below the 400 ms after which silence flows. */
export const GAP_HOLD_MAX_MS = 240;
/** The delay that a receiver allows for, in mean deviations, as playout rules have it since Ramjee et al., 1994. */
const JITTERS = 4;
/** So much longer than the packet that came too late would have needed. */
const LATE_MARGIN_MS = 20;
const SHRINK_MS_PER_MS = 4 / 1_000;

/**
 * How long a jitter buffer waits for a missing packet: four times the interarrival jitter (RFC 3550 §6.4.1), from
 * 60 to 240 ms. It grows at once, with the jitter or with a packet that came after its gap was given up, and
 * shrinks by 4 ms a second. It is a wait, not a delay: a stream in order passes without any, and where a sample
 * belongs on the leg's clock does not depend on it.
 */
export class GapHold {
  #holdMs = GAP_HOLD_START_MS;
  #lastMs = Infinity;

  get holdMs(): number {
    return this.#holdMs;
  }

  /** A packet came; the jitter as it stands with it. */
  adapt(jitterMs: number, nowMs: number): void {
    const wantedMs = JITTERS * jitterMs;
    const passedMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (wantedMs >= this.#holdMs) {
      this.#holdMs = Math.min(wantedMs, GAP_HOLD_MAX_MS);
    } else if (passedMs > 0) {
      const shrunkMs = this.#holdMs - passedMs * SHRINK_MS_PER_MS;
      this.#holdMs = Math.max(shrunkMs, wantedMs, GAP_HOLD_MIN_MS);
    }
  }

  /** A packet came too late: its gap would have had to be waited for so long. */
  late(neededMs: number): void {
    const wantedMs = Math.min(neededMs + LATE_MARGIN_MS, GAP_HOLD_MAX_MS);
    if (wantedMs > this.#holdMs) this.#holdMs = wantedMs;
  }
}
