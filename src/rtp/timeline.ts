import { timestampDelta } from './sequence.ts';

/** Both laws of G.711 run at this clock, and so does every index on a leg. */
export const SAMPLE_RATE_HZ = 8_000;
export const SAMPLES_PER_MS = SAMPLE_RATE_HZ / 1_000;

/**
 * No packet for this long, and silence flows in their place; it stays as far behind the wall clock. What a network
 * or a busy sender holds up for less than this is not lost, and a sentence before silence suppression ends as
 * much later.
 */
const PAUSE_AFTER_MS = 400;
/** Where packets are longer than a third of the above, so many of them must be missing. */
const PAUSE_AFTER_PACKETS = 3;
/** A leap of the timestamp beyond this is no gap but a new beginning. */
const GAP_MAX_MS = 10_000;
/**
 * What a timestamp may leap beyond the time that passed: so much at once, and as much again in that time. A sender whose
 * every packet claims seconds would otherwise have us make, and recognise, hours of silence in a minute.
 */
const LEAP_CREDIT_MAX_MS = 10_000;
/** At most this much is filled in one tick; after a stall of the process the rest follows with the next ticks. */
const TICK_FILL_MAX_MS = 1_000;
/** A new anchor within this distance of what was played goes on without a gap: it is the network's jitter. */
const ANCHOR_TOLERANCE_MS = 40;

/** Why samples are missing: `loss`, packets that did not come in time; `silence`, nothing was sent for them. */
export type FillCause = 'loss' | 'silence';

export interface TimelineOptions {
  readonly fill: (cause: FillCause, samples: number) => void;
  /** A stretch that was lost; see `MediaSink.lost`. */
  readonly lost?: (beginSample: number, samples: number) => void;
  /** The leg's clock starts: monotonic time of its sample 0, one packet duration before the first arrival. */
  readonly started: (atMs: number) => void;
}

export interface TimelineCounters {
  lossSamples: number;
  silenceSamples: number;
  /** Came for a stretch that was already emitted, dropped. */
  overlapSamples: number;
  /** Anchors after the first. */
  timestampResets: number;
}

/**
 * The leg's clock: where on it each packet's samples belong. Index 0 is the first packet's first sample; from
 * packet to packet the index grows as the RTP timestamp does, and what lies between is filled, so that the index
 * always equals elapsed time:
 *
 *     sequence gap                        loss, for as many packets as were lost; silence for the rest
 *     timestamp gap, sequence contiguous  silence suppression: silence
 *     no packet for 400 ms                silence in real time, 400 ms behind the wall clock
 *     timestamp not after the last one,   a new anchor: the packet goes where the wall clock says, counted from
 *       more than 10 s ahead, or ahead      the end and arrival of the packet before, and never back
 *       again and again                     (LEAP_CREDIT_MAX_MS)
 *     stretch that was already emitted    the overlapping samples are dropped
 *
 * The wall clock is only ever compared across one pause, so a sender whose clock is off never causes a fill while
 * its packets flow. Every fill is bounded: 10 s between packets, 1 s a tick.
 */
export class Timeline {
  readonly #fill: TimelineOptions['fill'];
  readonly #lost: TimelineOptions['lost'];
  readonly #started: TimelineOptions['started'];

  /** `empty` until the first packet; `adrift` when the next packet's timestamp relates to none before it. */
  #anchor: 'empty' | 'held' | 'adrift' = 'empty';
  /** The next index to be emitted. */
  #position = 0;
  // Of the last packet placed:
  #timestamp = 0;
  #beginSample = 0;
  #endSample = 0;
  #arrivalMs = 0;
  /** Duration of the last packet that held audio: what a lost one is taken to have held. */
  #packetSamples = 0;
  /** What is left of LEAP_CREDIT_MAX_MS. */
  #creditSamples = LEAP_CREDIT_MAX_MS * SAMPLES_PER_MS;
  /** Filled by ticks since then. */
  #pauseSamples = 0;

  readonly #counters: TimelineCounters = {
    lossSamples: 0,
    silenceSamples: 0,
    overlapSamples: 0,
    timestampResets: 0,
  };

  constructor(options: TimelineOptions) {
    this.#fill = options.fill;
    this.#lost = options.lost;
    this.#started = options.started;
  }

  get counters(): Readonly<TimelineCounters> {
    return this.#counters;
  }

  /** Samples emitted so far, which is the index of the next one. */
  get positionSamples(): number {
    return this.#position;
  }

  /** Where the last packet's audio ended. */
  get heardSamples(): number {
    return this.#endSample;
  }

  /**
   * The index of a timestamp that came with the last packets; what the wall clock says if that cannot be, as some
   * gateways count the timestamps of events apart. Undefined before the first packet that has a place.
   */
  sampleAt(timestamp: number, arrivalMs: number): number | undefined {
    if (this.#anchor === 'empty') return undefined;
    const sample = this.#sampleOf(timestamp);
    const isFar = Math.abs(sample - this.#position) > GAP_MAX_MS * SAMPLES_PER_MS;
    return this.#anchor === 'adrift' || isFar || sample < 0 ? this.#wallSample(0, arrivalMs) : sample;
  }

  /** The index of a timestamp, where it is tied to the leg's clock and not far from the present. */
  placeOf(timestamp: number): number | undefined {
    if (this.#anchor !== 'held') return undefined;
    const sample = this.#sampleOf(timestamp);
    return Math.abs(sample - this.#position) > GAP_MAX_MS * SAMPLES_PER_MS ? undefined : sample;
  }

  /** Whether `tick` filled since the last packet. */
  get isPaused(): boolean {
    return this.#pauseSamples > 0;
  }

  /**
   * Places the next packet in order: fills up to it, and returns how many of its first samples to drop because
   * their stretch was emitted before. The caller must emit the others now.
   * @param samples how many the packet holds; 0 for comfort noise
   * @param lostBefore packets lost between it and the one before
   */
  place(timestamp: number, samples: number, lostBefore: number, arrivalMs: number): number {
    const beginSample = this.#beginOf(timestamp, samples, arrivalMs);
    this.#fillGap(Math.max(0, beginSample - this.#position), lostBefore * this.#packetSamples);

    const skippedSamples = Math.min(samples, this.#position - beginSample);
    this.#counters.overlapSamples += skippedSamples;
    this.#position += samples - skippedSamples;

    this.#timestamp = timestamp;
    this.#beginSample = beginSample;
    this.#endSample = beginSample + samples;
    this.#arrivalMs = arrivalMs;
    this.#pauseSamples = 0;
    if (samples > 0) this.#packetSamples = samples;
    return skippedSamples;
  }

  /** Lets silence flow in real time while no packet comes. */
  tick(nowMs: number): void {
    if (this.#anchor === 'empty') return;
    const pauseMs = Math.max(PAUSE_AFTER_MS, (PAUSE_AFTER_PACKETS * this.#packetSamples) / SAMPLES_PER_MS);
    const missingSamples = this.#dueSample(nowMs - pauseMs) - this.#position;
    if (missingSamples <= 0) return;
    const fillSamples = Math.min(missingSamples, TICK_FILL_MAX_MS * SAMPLES_PER_MS);
    this.#pauseSamples += fillSamples;
    this.#emitFill('silence', fillSamples);
  }

  /** The next packet gets a new anchor: its timestamp has nothing to do with those before. */
  reanchor(): void {
    if (this.#anchor === 'held') this.#anchor = 'adrift';
  }

  /** Whether a packet follows the last one by its timestamp, into a stretch that was emitted meanwhile. */
  overlaps(timestamp: number): boolean {
    const beginSample = this.#sampleOf(timestamp);
    return this.#anchor === 'held' && beginSample > this.#beginSample && beginSample < this.#position;
  }

  #beginOf(timestamp: number, samples: number, arrivalMs: number): number {
    if (this.#anchor === 'empty') {
      this.#anchor = 'held';
      this.#started(arrivalMs - samples / SAMPLES_PER_MS);
      return 0;
    }
    if (this.#anchor === 'held') {
      const beginSample = this.#sampleOf(timestamp);
      const isAhead = !this.#mayLeap(beginSample - this.#position, arrivalMs);
      const isBehind = beginSample < this.#position && beginSample <= this.#beginSample;
      if (!isAhead && !isBehind) return beginSample;
    }
    this.#anchor = 'held';
    this.#counters.timestampResets++;
    return this.#wallSample(samples, arrivalMs);
  }

  #mayLeap(gapSamples: number, arrivalMs: number): boolean {
    if (gapSamples > GAP_MAX_MS * SAMPLES_PER_MS) return false;
    const passedSamples = Math.max(0, arrivalMs - this.#arrivalMs) * SAMPLES_PER_MS;
    const maxSamples = LEAP_CREDIT_MAX_MS * SAMPLES_PER_MS;
    this.#creditSamples = Math.min(maxSamples, this.#creditSamples + passedSamples);
    const leapSamples = Math.max(0, gapSamples - passedSamples);
    if (leapSamples > this.#creditSamples) return false;
    this.#creditSamples -= leapSamples;
    return true;
  }

  /** Where a packet belongs by the wall clock. */
  #wallSample(samples: number, arrivalMs: number): number {
    const aheadSamples = this.#dueSample(arrivalMs) - samples - this.#position;
    if (aheadSamples <= ANCHOR_TOLERANCE_MS * SAMPLES_PER_MS) return this.#position;
    return this.#position + Math.min(aheadSamples, GAP_MAX_MS * SAMPLES_PER_MS);
  }

  /** The index that is due at a time, if the sender goes on as it was at the last packet. */
  #dueSample(atMs: number): number {
    return this.#endSample + Math.round((atMs - this.#arrivalMs) * SAMPLES_PER_MS);
  }

  #sampleOf(timestamp: number): number {
    return this.#beginSample + timestampDelta(timestamp, this.#timestamp);
  }

  #fillGap(gapSamples: number, lostSamples: number): void {
    if (lostSamples > 0) this.#tellLost(gapSamples, lostSamples);
    const lossSamples = Math.min(gapSamples, lostSamples);
    if (lossSamples > 0) this.#emitFill('loss', lossSamples);
    if (gapSamples > lossSamples) this.#emitFill('silence', gapSamples - lossSamples);
  }

  #tellLost(gapSamples: number, lostSamples: number): void {
    const lossSamples = Math.min(gapSamples, lostSamples);
    // What ticks filled while packets were lost, not knowing it, is laid to loss now.
    const belatedSamples = Math.min(this.#pauseSamples, lostSamples - lossSamples);
    this.#counters.lossSamples += belatedSamples;
    this.#counters.silenceSamples -= belatedSamples;
    const toldSamples = belatedSamples + lossSamples;
    if (toldSamples > 0) this.#lost?.(this.#position - belatedSamples, toldSamples);
  }

  #emitFill(cause: FillCause, samples: number): void {
    if (cause === 'loss') this.#counters.lossSamples += samples;
    else this.#counters.silenceSamples += samples;
    this.#position += samples;
    this.#fill(cause, samples);
  }
}
