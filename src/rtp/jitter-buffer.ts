import { GapHold } from './gap-hold.ts';
import { RtpPacket } from './packet.ts';

/** Slots in the window, a power of two: how many sequence numbers ahead of a gap can be held. */
const WINDOW_PACKETS = 64;
const SLOT_MASK = WINDOW_PACKETS - 1;
/** Of how many past sequence numbers is known whether they were played; a power of two. */
const HISTORY_PACKETS = 256;
const HISTORY_MASK = HISTORY_PACKETS - 1;

export interface JitterBufferOptions {
  /** How many packets may be held behind a gap; one more, and the gap is lost. Default and maximum: 63. */
  readonly heldPacketsMax?: number;
  /**
   * The next packet in order, with the number of packets that were given up between it and the one before.
   * The packet is on loan: it is filled again after the call.
   */
  readonly play: (packet: RtpPacket, lostBefore: number) => void;
}

export interface JitterBufferCounters {
  played: number;
  /** Given up, also those that came late. */
  lost: number;
  late: number;
  duplicates: number;
  /** Overtaken by a later one, but in time. */
  reordered: number;
  /** Gaps given up for want of room. */
  overflows: number;
}

/**
 * Puts the packets of one source in order. It feeds a recogniser, not a loudspeaker: there is no playout delay.
 * A packet in order is played at once, straight from its datagram; behind a gap packets wait (copied) until
 *
 *   - the missing one comes, or
 *   - the wait is over, 60 to 240 ms after the first packet behind the gap came, as the network asks (`GapHold`), or
 *   - more than `heldPacketsMax` are held, or one comes beyond the window of 64 sequence numbers;
 *
 * in the last three cases the gap is declared lost, and what comes of it later is dropped as late. Nothing else
 * is ever dropped: played + late + duplicates = pushed, once drained.
 */
export class JitterBuffer {
  readonly #gapHold = new GapHold();
  readonly #heldPacketsMax: number;
  readonly #play: JitterBufferOptions['play'];

  /** Made when first needed: a line in order never holds any. */
  readonly #slots: (RtpPacket | undefined)[] = Array.from({ length: WINDOW_PACKETS }, () => undefined);
  readonly #occupied = new Uint8Array(WINDOW_PACKETS);
  /** 1 where a past sequence number was played, 0 where it was given up. */
  readonly #history = new Uint8Array(HISTORY_PACKETS);
  /** Since when a past sequence number was waited for that was given up; Infinity where it was not. */
  readonly #waitedSinceMs = new Float64Array(HISTORY_PACKETS).fill(Infinity);
  #heldPackets = 0;
  /** Arrival of the first packet behind the gap that is open now, or was last. */
  #gapSinceMs = 0;
  #started = false;
  #parked = false;
  /** The extended sequence number that is to be played next. */
  #next = 0;
  #highest = 0;
  #lostBefore = 0;

  readonly #counters: JitterBufferCounters = {
    played: 0,
    lost: 0,
    late: 0,
    duplicates: 0,
    reordered: 0,
    overflows: 0,
  };

  constructor(options: JitterBufferOptions) {
    this.#heldPacketsMax = Math.min(options.heldPacketsMax ?? WINDOW_PACKETS - 1, WINDOW_PACKETS - 1);
    this.#play = options.play;
  }

  get counters(): Readonly<JitterBufferCounters> {
    return this.#counters;
  }

  /** How long a gap is waited for now. */
  get holdMs(): number {
    return this.#gapHold.holdMs;
  }

  get heldPackets(): number {
    return this.#heldPackets;
  }

  get isParked(): boolean {
    return this.#parked;
  }

  /** A packet came whose timestamp tells of the network's jitter. See `GapHold`. */
  adapt(jitterMs: number, nowMs: number): void {
    this.#gapHold.adapt(jitterMs, nowMs);
  }

  /** Takes one packet; `arrivalMs` and `extendedSequence` are set. The bytes are not needed after the call. */
  push(packet: RtpPacket): void {
    const sequence = packet.extendedSequence;
    if (!this.#started) this.#start(sequence);
    if (sequence < this.#next) {
      this.#dropPast(sequence, packet.arrivalMs);
      return;
    }
    if (sequence - this.#next >= WINDOW_PACKETS) {
      this.#counters.overflows++;
      if (this.#heldPackets === 0) this.#gapSinceMs = packet.arrivalMs;
      this.#advanceTo(sequence - WINDOW_PACKETS + 1);
    }
    if (this.#occupied[sequence & SLOT_MASK] === 1) {
      this.#counters.duplicates++;
      return;
    }
    if (sequence < this.#highest) this.#counters.reordered++;
    else this.#highest = sequence;

    if (sequence === this.#next && !this.#parked) {
      this.#release(packet);
      if (this.#heldPackets > 0) this.#playRun();
    } else {
      this.#hold(packet);
    }
    this.poll(packet.arrivalMs);
  }

  /** Gives up gaps that were waited for long enough. Called for every packet and every tick. */
  poll(nowMs: number): void {
    while (this.#heldPackets > 0 && !this.#parked) {
      const full = this.#heldPackets > this.#heldPacketsMax;
      if (!full && nowMs - this.#gapSinceMs < this.#gapHold.holdMs) return;
      if (full) this.#counters.overflows++;
      this.#giveUpGap();
    }
  }

  /** From now on packets in order are held, too, until `unpark`. */
  park(): void {
    this.#parked = true;
  }

  unpark(nowMs: number): void {
    this.#parked = false;
    this.#playRun();
    this.poll(nowMs);
  }

  /** Plays all that is held; gaps between are lost. */
  drain(): void {
    this.#parked = false;
    while (this.#heldPackets > 0) this.#giveUpGap();
  }

  /** Drains, and lets the next packet begin a new line of sequence numbers. */
  restart(): void {
    this.drain();
    this.#started = false;
  }

  #start(sequence: number): void {
    this.#started = true;
    this.#next = sequence;
    this.#highest = sequence;
    this.#lostBefore = 0;
    this.#history.fill(0);
    this.#waitedSinceMs.fill(Infinity);
  }

  #dropPast(sequence: number, nowMs: number): void {
    const isKnown = this.#next - sequence <= HISTORY_PACKETS;
    if (isKnown && this.#history[sequence & HISTORY_MASK] === 1) {
      this.#counters.duplicates++;
      return;
    }
    this.#counters.late++;
    if (isKnown) this.#gapHold.late(nowMs - this.#waitedSinceMs[sequence & HISTORY_MASK]!);
  }

  #hold(packet: RtpPacket): void {
    const slot = packet.extendedSequence & SLOT_MASK;
    (this.#slots[slot] ??= new RtpPacket()).copyFrom(packet);
    this.#occupied[slot] = 1;
    if (this.#heldPackets === 0) this.#gapSinceMs = packet.arrivalMs;
    this.#heldPackets++;
  }

  /** Plays the packet whose turn it is. */
  #release(packet: RtpPacket): void {
    this.#history[this.#next & HISTORY_MASK] = 1;
    this.#next++;
    this.#counters.played++;
    const lostBefore = this.#lostBefore;
    this.#lostBefore = 0;
    this.#play(packet, lostBefore);
  }

  /** Plays held packets up to the next gap. */
  #playRun(): void {
    for (let slot = this.#next & SLOT_MASK; this.#occupied[slot] === 1; slot = this.#next & SLOT_MASK) {
      this.#occupied[slot] = 0;
      this.#heldPackets--;
      this.#release(this.#slots[slot]!);
    }
    if (this.#heldPackets > 0) this.#gapSinceMs = this.#earliestArrivalMs();
  }

  #giveUpGap(): void {
    while (this.#occupied[this.#next & SLOT_MASK] === 0) this.#loseNext();
    this.#playRun();
  }

  /** Moves the window so that it begins at `sequence`. */
  #advanceTo(sequence: number): void {
    while (this.#next < sequence) {
      if (this.#heldPackets === 0 || this.#occupied[this.#next & SLOT_MASK] === 0) this.#loseNext();
      else this.#playRun();
    }
  }

  #loseNext(): void {
    this.#history[this.#next & HISTORY_MASK] = 0;
    this.#waitedSinceMs[this.#next & HISTORY_MASK] = this.#gapSinceMs;
    this.#next++;
    this.#lostBefore++;
    this.#counters.lost++;
  }

  #earliestArrivalMs(): number {
    let earliestMs = Infinity;
    for (let slot = 0; slot < WINDOW_PACKETS; slot++) {
      if (this.#occupied[slot] === 1) earliestMs = Math.min(earliestMs, this.#slots[slot]!.arrivalMs);
    }
    return earliestMs;
  }
}
