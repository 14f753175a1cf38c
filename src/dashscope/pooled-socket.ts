import { connect, type Connection, type ConnectionOptions } from './connection.ts';
import type { Lease } from './pool-lease.ts';

/** A socket that outlives its tasks: what it hears goes to the lease that it serves now. */
export class PooledSocket {
  readonly #connection: Connection;
  #lease: Lease | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #onRestless: (() => void) | undefined;

  /** @param onIdleEnd told when the socket ends, or speaks, while it serves nobody */
  constructor(options: ConnectionOptions, onIdleEnd: (socket: PooledSocket) => void) {
    this.#connection = connect(options, {
      onOpen: () => this.#lease?.onOpen(),
      onText: (text) => {
        if (this.#lease !== undefined) this.#lease.onText(text);
        // Nothing is to be said without a task: such a socket is not trusted with another.
        else this.#onRestless?.();
      },
      onDrain: () => this.#lease?.onDrain(),
      onEnd: (error) => {
        clearTimeout(this.#idleTimer);
        if (this.#lease === undefined) onIdleEnd(this);
        else this.#lease.onSocketEnd(error);
      },
    });
  }

  get bufferedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  serve(lease: Lease | undefined): void {
    this.#lease = lease;
  }

  /** @param onRestless its time is over, or it speaks out of turn */
  rest(idleMaxMs: number, onRestless: () => void): void {
    this.#onRestless = onRestless;
    this.#idleTimer = setTimeout(onRestless, idleMaxMs);
  }

  wake(): void {
    clearTimeout(this.#idleTimer);
    this.#onRestless = undefined;
  }

  sendText(text: string): void {
    this.#connection.sendText(text);
  }

  sendAudio(frame: Buffer): void {
    this.#connection.sendAudio(frame);
  }

  close(): Promise<void> {
    this.wake();
    return this.#connection.close();
  }
}
