import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { EventSource } from 'eventsource';
import { WebSocket } from 'undici';

/** One thing that a subscriber was sent. */
export interface Received {
  readonly type: string;
  readonly data: Record<string, unknown>;
}

/** A subscriber of a live stream, with everything that it got over all its connections. */
export abstract class LiveClient {
  readonly received: Received[] = [];
  #waiting: (() => void)[] = [];

  abstract close(): Promise<void>;

  /** Final sentences as `leg/number`, in the order in which they came. */
  get finals(): readonly string[] {
    return this.of('sentence.final').map(
      ({ leg_no, sentence_no }) => `${String(leg_no)}/${String(sentence_no)}`,
    );
  }

  of(type: string): readonly Record<string, unknown>[] {
    return this.received.flatMap((one) => (one.type === type ? [one.data] : []));
  }

  /** The test's own time-out bounds it. */
  async until(isMet: () => boolean): Promise<void> {
    while (!isMet()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves when a call was told to be complete. */
  async complete(): Promise<void> {
    await this.until(() => this.of('call').some(({ state }) => state === 'complete'));
  }

  protected note(type: string, data: string): void {
    this.received.push({ type, data: JSON.parse(data) as Record<string, unknown> });
    this.wake();
  }

  protected wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

const TYPES = ['call', 'sentence.partial', 'sentence.final', 'call.event', 'hello', 'reset', 'end'];

/** As a browser does it: comes back by itself, with Last-Event-ID. */
export class EventSourceClient extends LiveClient {
  readonly #source: EventSource;

  constructor(url: string) {
    super();
    this.#source = new EventSource(url);
    for (const type of TYPES) {
      this.#source.addEventListener(type, (event) => {
        this.note(type, event.data as string);
      });
    }
  }

  /** Whether it was told not to come back. */
  get hasGivenUp(): boolean {
    return this.#source.readyState === EventSource.CLOSED;
  }

  close(): Promise<void> {
    this.#source.close();
    return Promise.resolve();
  }
}

/** `curl -N`, started again with the last id when its connection ends before the stream does. */
export class CurlClient extends LiveClient {
  readonly #url: string;
  readonly #headers: readonly string[];
  readonly #running: Promise<void>;
  #kill: () => void = () => undefined;
  #lastId: string | undefined;
  #isClosed = false;

  constructor(url: string, token?: string) {
    super();
    this.#url = url;
    this.#headers = token === undefined ? [] : ['-H', `Authorization: Bearer ${token}`];
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#kill();
    await this.#running;
  }

  /** Ends the process that reads now; the next one goes on. */
  cut(): void {
    this.#kill();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed && this.of('end').length === 0) {
      const header = this.#lastId === undefined ? [] : ['-H', `Last-Event-ID: ${this.#lastId}`];
      const curl = spawn('curl', ['-sN', ...this.#headers, ...header, this.#url], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      this.#kill = () => curl.kill('SIGKILL');
      let text = '';
      curl.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) this.#read(block);
      });
      await once(curl, 'close');
    }
  }

  #read(block: string): void {
    const fieldOf = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
    const data = fieldOf('data');
    if (data === undefined) return;
    this.note(fieldOf('event') ?? 'message', data);
    this.#lastId = fieldOf('id') ?? this.#lastId;
  }
}

/** The WebSocket of undici, which is not the library that the service has; comes back with the last id. */
export class WebSocketClient extends LiveClient {
  protected url: URL;
  #socket: WebSocket | undefined;
  #lastId: string | undefined;
  #isClosed = false;
  closeReason: string | undefined;

  constructor(url: string) {
    super();
    this.url = new URL(url);
    this.url.protocol = 'ws:';
    this.#open();
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#socket?.close();
    return Promise.resolve();
  }

  protected address(lastId: string | undefined): string {
    if (lastId !== undefined) this.url.searchParams.set('after', lastId);
    return this.url.href;
  }

  protected firstMessage(): string | undefined {
    return undefined;
  }

  #open(): void {
    if (this.#isClosed) return;
    const socket = new WebSocket(this.address(this.#lastId));
    this.#socket = socket;
    socket.addEventListener('open', () => {
      const message = this.firstMessage();
      if (message !== undefined) socket.send(message);
    });
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(data as string) as { type: string; id?: string; data: unknown };
      this.note(message.type, JSON.stringify(message.data));
      this.#lastId = message.id ?? this.#lastId;
    });
    // Of an attempt that failed undici tells an error alone.
    socket.addEventListener('error', () => {
      this.#openAgain(socket);
    });
    socket.addEventListener('close', ({ code, reason }) => {
      if (code === 1000 || code >= 4400) {
        this.closeReason = reason;
        this.wake();
      } else {
        this.#openAgain(socket);
      }
    });
  }

  #openAgain(after: WebSocket): void {
    if (this.#isClosed || this.#socket !== after) return;
    this.#socket = undefined;
    setTimeout(() => {
      this.#open();
    }, 50);
  }
}

/** Tells in its first message where it goes on in each call, from what it has received; wherever the service is now. */
export class PositionsClient extends WebSocketClient {
  #heardAt: number | undefined;

  constructor(url: string) {
    super(`${url}/v1/live`);
  }

  /** From the next connection on. */
  moveTo(url: string): void {
    this.url = new URL(`${url}/v1/live`);
    this.url.protocol = 'ws:';
  }

  protected override note(type: string, data: string): void {
    super.note(type, data);
    this.#heardAt = Date.now();
  }

  protected override address(): string {
    this.url.searchParams.set('resume', 'positions');
    return this.url.href;
  }

  protected override firstMessage(): string {
    const idsSeen = new Set(this.of('call').map(({ call_id }) => String(call_id)));
    const positions = Object.fromEntries([...idsSeen].map((id) => [id, this.#positionIn(id)]));
    const since = this.#heardAt === undefined ? undefined : new Date(this.#heardAt - 10_000);
    return JSON.stringify({ positions, since });
  }

  #positionIn(callId: string): string {
    const ofCall = (type: string): readonly Record<string, unknown>[] =>
      this.of(type).filter(({ call_id }) => call_id === callId);
    if (ofCall('call').some(({ state }) => state === 'complete')) return 'end';
    const last = new Map(ofCall('sentence.final').map(({ leg_no, sentence_no }) => [leg_no, sentence_no]));
    const legs = [...last].map(([legNo, sentenceNo]) => `;${String(legNo)}:${String(sentenceNo)}`);
    const eventNo = Math.max(0, ...ofCall('call.event').map(({ event_no }) => Number(event_no)));
    return `${eventNo}${legs.join('')}`;
  }
}
