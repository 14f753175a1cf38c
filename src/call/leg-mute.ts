import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';

import type { LegRecorder } from '../recording/leg-recorder.ts';
import type { LegReceiver } from '../rtp/receiver.ts';
import type { TelephoneEvent } from '../rtp/telephone-events.ts';
import type { LegTap } from './leg-tap.ts';

export interface LegMuteOptions {
  readonly tap: LegTap;
  readonly recorder: Pick<LegRecorder, 'samples' | 'mark'>;
  /** Bound by the time of the first `unmute`. */
  readonly receiver: () => Pick<LegReceiver, 'counters' | 'holdsPackets' | 'settle'>;
}

/** Packets that were on their way when somebody said that the line may be heard again. */
const LATE_PACKET_LINGER_MS = 80;
/** A gap is waited for no longer than 240 ms, a verdict on a pause 60 ms. */
const HELD_TURNS_MAX = 20;
const HELD_TURN_MS = 20;
/** libuv reads up to 32 datagrams of a socket a turn: this is forty seconds of packets. */
const WAITING_TURNS_MAX = 64;

/**
 * The stretches of a leg of which nothing is kept: at once from `mute` on, and until everything that was sent before
 * `unmute` has come out as silence. A key of which any part lies in such a stretch is not told.
 */
export class LegMute {
  readonly #options: LegMuteOptions;
  /** Grows with each mute, so that a later one outdoes the unmute before it. */
  #mutes = 0;
  /** The leg's sample at which it was heard again last. */
  #heardFromSample: number | undefined;

  constructor(options: LegMuteOptions) {
    this.#options = options;
  }

  get isMuted(): boolean {
    return this.#options.tap.isMutedBy('pause');
  }

  mute(): void {
    this.#mutes += 1;
    this.#options.tap.mute('pause');
  }

  /** The leg's clock has started. */
  started(): void {
    if (this.#options.tap.isMuted) this.#options.recorder.mark('mute');
  }

  /**
   * Takes up to half a second. @returns false where `mute` was called meanwhile, which stands
   */
  async unmute(): Promise<boolean> {
    const { tap, recorder, receiver } = this.#options;
    const mutes = this.#mutes;
    if (!this.isMuted) return true;
    await delay(LATE_PACKET_LINGER_MS);
    await readWaiting(receiver());
    for (let turn = 0; turn < HELD_TURNS_MAX && receiver().holdsPackets; turn++) await delay(HELD_TURN_MS);
    if (mutes !== this.#mutes) return false;
    receiver().settle();
    tap.unmute('pause');
    this.#heardFromSample = recorder.samples;
    return true;
  }

  /** Whether a key that is over now was pressed while everything was heard. */
  mayTell({ beginSample }: TelephoneEvent): boolean {
    if (this.isMuted) return false;
    const from = this.#heardFromSample;
    return from === undefined || (beginSample !== undefined && beginSample >= from);
  }
}

/** A process that was busy has packets in its sockets still; each turn of the loop reads some of them. */
export async function readWaiting(receiver: Pick<LegReceiver, 'counters'>): Promise<void> {
  for (let turn = 0, read = -1; turn < WAITING_TURNS_MAX; turn++) {
    const { packetsReceived } = receiver.counters();
    if (packetsReceived === read) return;
    read = packetsReceived;
    await nextTurn();
  }
}
