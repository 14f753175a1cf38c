import { Encoded } from './encoded.ts';
import type { LiveItem } from './items.ts';

/** The way to one subscriber, as SSE or WebSocket make it. */
export interface Sink {
  /**
   * One item, or a note about the stream itself.
   *
   * @param id what the client sends to go on after it
   */
  send(encoded: Encoded, id: string | undefined): void;
  /** Bytes that it will take, about. */
  bytesOf(encoded: Encoded): number;
  /** Bytes that the socket has not taken yet. */
  readonly waitingBytes: number;
  /** Shows the client, and whatever stands between, that the stream lives. */
  beat(): void;
  /** Tells why, and ends the connection. */
  close(reason: CloseReason): void;
}

/**
 * - `ended`: the call is complete and everything of it was sent;
 * - `too_slow`: the client does not take what it is sent; come back and go on from the last id;
 * - `shutdown`: the service stops; the same;
 * - `replaced`: the same stream was taken up by another connection;
 * - `revoked`: the credential that opened it holds no more.
 */
export type CloseReason = 'ended' | 'too_slow' | 'shutdown' | 'replaced' | 'revoked';

/** Beyond it partial sentences wait, the newest of each leg; finals go on. */
export const PARTIALS_WAIT_BYTES = 65_536;
/** Beyond it the subscriber is disconnected. */
export const WAITING_MAX_BYTES = 1_048_576;
const BEATS_WITHOUT_ROOM_MAX = 2;

/**
 * Keeps a slow subscriber from costing anybody else: first it loses partial sentences (the newest of each leg is sent
 * when there is room again), then the connection.
 */
export class Outlet {
  readonly #sink: Sink;
  readonly #onDropped: () => void;
  /** The newest partial sentence of each leg that waits for room. */
  readonly #partials = new Map<string, Encoded>();
  #isClosed = false;
  #beatsWithoutRoom = 0;

  constructor(sink: Sink, onDropped: () => void) {
    this.#sink = sink;
    this.#onDropped = onDropped;
  }

  isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether there is room for more that need not be sent now, such as what was said before. */
  get hasRoom(): boolean {
    return this.#sink.waitingBytes < PARTIALS_WAIT_BYTES;
  }

  send(item: LiveItem, encoded: Encoded, id: string | undefined): void {
    if (this.#isClosed) return;
    if (item.type === 'sentence.partial') {
      this.#partial(item.data.leg_id, encoded);
      return;
    }
    if (item.type === 'sentence.final') this.#partials.delete(item.data.leg_id);
    if (this.#sink.waitingBytes + this.#sink.bytesOf(encoded) > WAITING_MAX_BYTES) {
      this.close('too_slow');
      return;
    }
    this.#sink.send(encoded, id);
  }

  /** A note about the stream itself. */
  note(type: 'reset' | 'hello', data: object): void {
    if (!this.#isClosed) this.#sink.send(new Encoded(type, data), undefined);
  }

  /** The socket has room again. */
  drained(): void {
    this.#beatsWithoutRoom = 0;
    for (const [legId, encoded] of this.#partials) {
      if (!this.hasRoom) return;
      this.#partials.delete(legId);
      this.#sink.send(encoded, undefined);
    }
  }

  /** Told at regular times. A client that has taken nothing since the last but one is gone, whatever its socket says. */
  beat(): void {
    if (this.#isClosed) return;
    this.#beatsWithoutRoom = this.#sink.waitingBytes === 0 ? 0 : this.#beatsWithoutRoom + 1;
    if (this.#beatsWithoutRoom > BEATS_WITHOUT_ROOM_MAX) this.close('too_slow');
    else this.#sink.beat();
  }

  close(reason: CloseReason): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#partials.clear();
    this.#sink.close(reason);
  }

  /** The connection is gone. */
  gone(): void {
    this.#isClosed = true;
    this.#partials.clear();
  }

  #partial(legId: string, encoded: Encoded): void {
    if (this.hasRoom) {
      this.#sink.send(encoded, undefined);
      return;
    }
    if (this.#partials.has(legId)) this.#onDropped();
    this.#partials.set(legId, encoded);
  }
}
