import type { Connection, ConnectionListener } from './connection.ts';
import { DashScopeAborted, DashScopeError, DashScopeTimeout } from './errors.ts';
import type { PooledSocket } from './pooled-socket.ts';
import type { StartEntry } from './start-queue.ts';

/** What a lease needs of its pool. */
export interface LeaseHost {
  reusedAnswerMs(): number;
  enter(entry: StartEntry, place: 'back' | 'front'): 'now' | 'queued' | 'full';
  leave(entry: StartEntry): void;
  refused(): void;
  takeIdle(): PooledSocket | undefined;
  open(replaces: boolean): PooledSocket;
  discard(socket: PooledSocket): Promise<void>;
  giveBack(socket: PooledSocket): Promise<void>;
  over(lease: Lease): void;
}

/**
 * One task's use of the pool:
 *
 *     queued ──turn──▶ connecting ──open──▶ serving ──close, release, end──▶ over
 *               └── a socket that waited is open already ──▲
 *
 *     A socket that waited and then ends, or stays silent, before its first answer is replaced once by a fresh one, on
 *     which run-task is sent again; the task does not notice.
 */
export class Lease implements Connection, StartEntry {
  readonly #host: LeaseHost;
  readonly #listener: ConnectionListener;
  #kind: 'queued' | 'connecting' | 'serving' | 'over' = 'queued';
  #socket: PooledSocket | undefined;
  /** The socket had another task before, and has not yet answered this one. */
  #unproven = false;
  /** run-task, until it is answered: a replacement sends it again. */
  #runTask: string | undefined;
  #replaced = false;
  #answerTimer: NodeJS.Timeout | undefined;

  constructor(host: LeaseHost, listener: ConnectionListener) {
    this.#host = host;
    this.#listener = listener;
  }

  begin(poolIsOpen: boolean): void {
    const answer = poolIsOpen ? this.#host.enter(this, 'back') : 'closed';
    if (answer === 'queued') return;
    if (answer === 'now') {
      this.#use(this.#host.takeIdle());
      return;
    }
    this.#kind = 'connecting';
    const error = answer === 'full' ? queueFull('too many tasks wait for their turn to start') : poolClosed();
    queueMicrotask(() => {
      this.#end(error);
    });
  }

  get queued(): boolean {
    return this.#kind === 'queued';
  }

  get bufferedBytes(): number {
    return this.#socket?.bufferedBytes ?? 0;
  }

  sendText(text: string): void {
    if (this.#unproven && this.#runTask === undefined) {
      this.#runTask = text;
      this.#answerTimer = setTimeout(() => {
        this.#replaceOr(new DashScopeTimeout('a reused connection did not answer in time'));
      }, this.#host.reusedAnswerMs());
    }
    this.#socket?.sendText(text);
  }

  sendAudio(frame: Buffer): void {
    this.#socket?.sendAudio(frame);
  }

  async close(): Promise<void> {
    const socket = this.#leave();
    if (socket !== undefined) await this.#host.discard(socket);
  }

  async release(): Promise<void> {
    const socket = this.#leave();
    if (socket !== undefined) await this.#host.giveBack(socket);
  }

  /** The pool closes. */
  cut(): void {
    this.#end(poolClosed());
  }

  onTurn(): void {
    const again = this.#replaced;
    this.#use(again ? undefined : this.#host.takeIdle());
    if (!again) this.#listener.onTurn?.();
  }

  onTooLong(): void {
    this.#host.refused();
    this.#end(queueFull('the task waited too long for its turn to start'));
  }

  onOpen(): void {
    if (this.#kind === 'over') return;
    this.#kind = 'serving';
    if (this.#replaced && this.#runTask !== undefined) this.#socket?.sendText(this.#runTask);
    else this.#listener.onOpen();
  }

  onText(text: string): void {
    this.#proven();
    this.#listener.onText(text);
  }

  onDrain(): void {
    this.#listener.onDrain?.();
  }

  onSocketEnd(error: Error): void {
    this.#replaceOr(error);
  }

  #use(idle: PooledSocket | undefined): void {
    const socket = idle ?? this.#host.open(this.#replaced);
    this.#socket = socket;
    this.#kind = 'connecting';
    this.#unproven = idle !== undefined;
    socket.serve(this);
    if (idle === undefined) return;
    queueMicrotask(() => {
      if (this.#socket === socket) this.onOpen();
    });
  }

  #replaceOr(error: Error): void {
    const socket = this.#socket;
    const replaceable = this.#unproven && socket !== undefined;
    clearTimeout(this.#answerTimer);
    if (!replaceable) {
      this.#end(error);
      return;
    }
    this.#unproven = false;
    this.#replaced = true;
    this.#socket = undefined;
    socket.serve(undefined);
    void this.#host.discard(socket);
    // A second run-task counts at the service.
    if (this.#host.enter(this, 'front') === 'now') this.#use(undefined);
  }

  #proven(): void {
    if (!this.#unproven && this.#runTask === undefined) return;
    clearTimeout(this.#answerTimer);
    this.#unproven = false;
    this.#runTask = undefined;
  }

  #end(error: Error): void {
    if (this.#kind === 'over') return;
    const socket = this.#leave();
    if (socket !== undefined) void this.#host.discard(socket);
    this.#listener.onEnd(error);
  }

  /** @returns the socket that is left behind */
  #leave(): PooledSocket | undefined {
    if (this.#kind === 'over') return undefined;
    this.#kind = 'over';
    clearTimeout(this.#answerTimer);
    this.#host.leave(this);
    this.#host.over(this);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.serve(undefined);
    return socket;
  }
}

function queueFull(message: string): DashScopeError {
  return new DashScopeError('overload', 'ASR_QUEUE_FULL', message, { retryable: true });
}

function poolClosed(): DashScopeError {
  return new DashScopeAborted('the connection pool was closed');
}
