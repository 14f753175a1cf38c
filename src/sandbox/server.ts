import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

import { type WebSocket, WebSocketServer } from 'ws';

import { type Clock, systemClock } from '../clock.ts';
import { CallscribeError, systemCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { TaskRequest } from './client-frames.ts';
import type { RefusalFault, TaskFaults } from './faults.ts';
import type { SandboxRecogniser } from './recogniser.ts';
import {
  SANDBOX_TIMERS,
  type SandboxTimers,
  SOCKET_COUNTS,
  type SocketCount,
  TaskSocket,
} from './task-socket.ts';
import { type RateLimit, TokenBucket } from './token-bucket.ts';

export interface SandboxOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly recogniser: SandboxRecogniser;
  readonly logger: Logger;
  /** Keys that are let in; `any` still wants one to be there. Default: `any`. */
  readonly apiKeys?: 'any' | readonly string[] | undefined;
  /** run-task beyond it fails with Throttling.RateQuota. Default: {@link SANDBOX_RATE_LIMIT}. */
  readonly rateLimit?: RateLimit | 'off' | undefined;
  readonly timers?: Partial<SandboxTimers> | undefined;
  /** What goes wrong in the n-th task (from 1). Default: nothing. */
  readonly faults?: ((task: TaskRequest, taskNo: number) => TaskFaults | undefined) | undefined;
  /** Refuses the n-th connection (from 1). Default: none. */
  readonly refuse?: ((connectionNo: number) => RefusalFault | undefined) | undefined;
  /** Sockets at a time; beyond it 503. Default: 4,000. */
  readonly maxConnections?: number | undefined;
  readonly clock?: Clock | undefined;
}

export type SandboxCounters = Readonly<Record<SocketCount | 'connections' | 'connectionsRefused', number>>;

/** A running sandbox. */
export interface Sandbox extends AsyncDisposable {
  /** For `DASHSCOPE_WS_URL`. */
  readonly url: string;
  /** For `DASHSCOPE_HTTP_URL`. */
  readonly httpUrl: string;
  readonly recogniser: SandboxRecogniser;
  /** A snapshot. */
  readonly counters: SandboxCounters;
  /** Cuts every socket; may be called twice. */
  close(): Promise<void>;
}

/** The vendor's 20 a second for an account, but more at once: calls start together in tests and demos. */
export const SANDBOX_RATE_LIMIT: RateLimit = { perSecond: 20, burst: 100 };
const MAX_CONNECTIONS = 4_000;
const MAX_FRAME_BYTES = 1 << 20;
const INFERENCE_PATHS = new Set(['/api-ws/v1/inference', '/api-ws/v1/inference/']);
const UNAUTHORIZED: RefusalFault = {
  status: 401,
  code: 'InvalidApiKey',
  message: 'Invalid API-key provided.',
};
const NOT_FOUND: RefusalFault = {
  status: 404,
  code: 'NotFound',
  message: 'The sandbox has nothing at this path.',
};
const OVERLOADED: RefusalFault = {
  status: 503,
  code: 'ServiceUnavailable',
  message: 'Too many connections.',
};

/**
 * Starts a local server that speaks the DashScope realtime recognition protocol.
 *
 * @throws {CallscribeError} `ADDRESS_IN_USE`
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const sandbox = new SandboxServer(options);
  await sandbox.listen(options.host, options.port);
  return sandbox;
}

class SandboxServer implements Sandbox {
  readonly recogniser: SandboxRecogniser;
  readonly #options: SandboxOptions;
  readonly #clock: Clock;
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
  });
  readonly #bucket: TokenBucket | undefined;
  readonly #counters = new Map<keyof SandboxCounters, number>();
  #taskNo = 0;
  #connectionNo = 0;
  #closed: Promise<void> | undefined;
  #authority = '';

  constructor(options: SandboxOptions) {
    this.recogniser = options.recogniser;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const limit = options.rateLimit ?? SANDBOX_RATE_LIMIT;
    if (limit !== 'off') this.#bucket = new TokenBucket(limit, this.#clock.monotonicMs());
    this.#http = createServer((_request, response) => {
      response.writeHead(NOT_FOUND.status, { 'content-type': 'application/json' });
      response.end(refusalBody(NOT_FOUND));
    });
    this.#http.on('upgrade', (request, socket, head) => {
      this.#onUpgrade(request, socket, head);
    });
    this.#http.on('clientError', (_error, socket) => {
      socket.destroy();
    });
  }

  get url(): string {
    return `ws://${this.#authority}/api-ws/v1/inference`;
  }

  get httpUrl(): string {
    return `http://${this.#authority}/api/v1`;
  }

  get counters(): SandboxCounters {
    const names = ['connections', 'connectionsRefused', ...SOCKET_COUNTS] as const;
    return Object.fromEntries(names.map((name) => [name, this.#counters.get(name) ?? 0])) as Record<
      (typeof names)[number],
      number
    >;
  }

  async listen(host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', (error) => {
        const used = systemCode(error) === 'EADDRINUSE';
        const text = `the sandbox cannot listen on ${host}:${port}: another process does; choose another port`;
        reject(used ? new CallscribeError('ADDRESS_IN_USE', text, { cause: error }) : error);
      });
      this.#http.listen(port, host, resolve);
    });
    const address = this.#http.address() as AddressInfo;
    this.#authority = `${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      for (const socket of this.#sockets.clients) socket.terminate();
      this.#http.close(() => {
        resolve();
      });
      this.#http.closeAllConnections();
    });
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #count(what: keyof SandboxCounters, by = 1): void {
    this.#counters.set(what, (this.#counters.get(what) ?? 0) + by);
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    this.#connectionNo += 1;
    const refusal = this.#refusal(request);
    if (refusal !== undefined) {
      this.#count('connectionsRefused');
      refuseUpgrade(socket, refusal);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (accepted) => {
      this.#onSocket(accepted);
    });
  }

  #refusal(request: IncomingMessage): RefusalFault | undefined {
    const asked = this.#options.refuse?.(this.#connectionNo);
    if (asked !== undefined) return asked;
    const target = URL.canParse(request.url ?? '', 'ws://sandbox')
      ? new URL(request.url ?? '', 'ws://sandbox')
      : undefined;
    if (target === undefined || !INFERENCE_PATHS.has(target.pathname)) return NOT_FOUND;
    if (!this.#knows(keyOf(request, target))) return UNAUTHORIZED;
    return this.#sockets.clients.size >= (this.#options.maxConnections ?? MAX_CONNECTIONS)
      ? OVERLOADED
      : undefined;
  }

  #knows(key: string | undefined): boolean {
    const { apiKeys = 'any' } = this.#options;
    return key !== undefined && (apiKeys === 'any' || apiKeys.includes(key));
  }

  #onSocket(socket: WebSocket): void {
    this.#count('connections');
    new TaskSocket(socket, {
      recogniser: this.recogniser,
      timers: { ...SANDBOX_TIMERS, ...this.#options.timers },
      clock: this.#clock,
      logger: this.#options.logger,
      admit: (task) => {
        this.#taskNo += 1;
        const faults = this.#options.faults?.(task, this.#taskNo) ?? {};
        return { admitted: this.#bucket?.take(this.#clock.monotonicMs()) ?? true, faults };
      },
      count: (what, by) => {
        this.#count(what, by);
      },
    });
  }
}

/** The scheme counts in any case: the Python SDK sends `bearer`. The query is how browsers do it. */
function keyOf(request: IncomingMessage, target: URL): string | undefined {
  const match = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '');
  return match?.[1] ?? target.searchParams.get('api_key') ?? undefined;
}

function refusalBody({ code, message }: RefusalFault): string {
  return JSON.stringify({ code, message, request_id: crypto.randomUUID() });
}

function refuseUpgrade(socket: Duplex, refusal: RefusalFault): void {
  const body = refusalBody(refusal);
  socket.end(
    [
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? 'Refused'}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}
