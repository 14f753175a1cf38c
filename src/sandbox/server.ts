import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

import { type WebSocket, WebSocketServer } from 'ws';

import { type Clock, systemClock } from '../clock.ts';
import { CallscribeError, systemCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { TaskRequest } from './client-frames.ts';
import { Credentials } from './credentials.ts';
import { FaultDesk } from './fault-desk.ts';
import { mergeTaskFaults, type RefusalFault, type TaskFaults } from './faults.ts';
import { FfmpegPool } from './ffmpeg-decoder.ts';
import { credentialOf, HttpApi, UNAUTHORIZED } from './http-api.ts';
import { Phrases } from './phrases.ts';
import { SANDBOX_TIMERS, type SandboxProtocol, type SandboxTimers } from './protocol-terms.ts';
import type { SandboxRecogniser } from './recogniser.ts';
import { readSocketTerms, type SocketTerms } from './socket-terms.ts';
import { type Admission, SOCKET_COUNTS, type SocketCount, TaskSocket } from './task-socket.ts';
import { type RateLimit, TokenBucket } from './token-bucket.ts';
import { inferenceAddress, type Upgrade, UpgradeGate } from './upgrade-gate.ts';
import { NOT_EXISTING, Vocabularies } from './vocabularies.ts';

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
  /** Of sockets that do not ask by `?protocol=`. Default: `lenient`. */
  readonly protocol?: SandboxProtocol | undefined;
  readonly timers?: Partial<SandboxTimers> | undefined;
  /** What goes wrong in the n-th task (from 1). Default: nothing. */
  readonly faults?: ((task: TaskRequest, taskNo: number) => TaskFaults | undefined) | undefined;
  /** Refuses the n-th connection (from 1). Default: none. */
  readonly refuse?: ((connectionNo: number) => RefusalFault | undefined) | undefined;
  /** Hot words that exist from the start: id → the model that they are for. Default: none. */
  readonly vocabularies?: Readonly<Record<string, string>> | undefined;
  /** Decodes what is neither pcm nor wav: a path, or a name on the PATH; null takes no such format. Default: `ffmpeg`. */
  readonly ffmpegCommand?: string | null | undefined;
  /** Sockets at a time; beyond it 503. Default: 4,000. */
  readonly maxConnections?: number | undefined;
  readonly clock?: Clock | undefined;
}

export type SandboxCounters = Readonly<
  Record<SocketCount | 'connections' | 'connectionsRefused' | 'hotWordsApplied' | 'hotWordsIgnored', number>
>;

/** What lives now; all 0 but vocabularies and phrases once every client has gone. */
export interface SandboxLive {
  readonly sockets: number;
  readonly tasks: number;
  readonly decoders: number;
  /** Not ended. */
  readonly tokens: number;
  readonly vocabularies: number;
  readonly phrases: number;
}

/** A running sandbox. */
export interface Sandbox extends AsyncDisposable {
  /** For `DASHSCOPE_WS_URL`. */
  readonly url: string;
  /** For `DASHSCOPE_HTTP_URL`. */
  readonly httpUrl: string;
  /** Where faults are ordered: `POST`, `GET`, `DELETE`. */
  readonly faultsUrl: string;
  readonly recogniser: SandboxRecogniser;
  /** A snapshot. */
  readonly counters: SandboxCounters;
  /** A snapshot. */
  readonly live: SandboxLive;
  /** The same faults as at {@link faultsUrl}. */
  readonly desk: FaultDesk;
  /** Cuts every socket; may be called twice. */
  close(): Promise<void>;
}

/** The vendor's 20 a second for an account, but more at once: calls start together in tests and demos. */
export const SANDBOX_RATE_LIMIT: RateLimit = { perSecond: 20, burst: 100 };
const MAX_CONNECTIONS = 4_000;
const MAX_FRAME_BYTES = 1 << 20;
/** Beside the sockets, for REST. */
const HTTP_CONNECTIONS_MAX = 256;
/** A request whose headers or body do not come ends. */
const REQUEST_TIMEOUT_MS = 10_000;
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
  readonly desk = new FaultDesk();
  readonly #options: SandboxOptions;
  readonly #clock: Clock;
  readonly #timers: SandboxTimers;
  readonly #http: Server;
  readonly #api: HttpApi;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
  });
  readonly #credentials: Credentials;
  readonly #vocabularies: Vocabularies;
  readonly #phrases: Phrases;
  readonly #ffmpeg: FfmpegPool;
  readonly #bucket: TokenBucket | undefined;
  readonly #counters = new Map<keyof SandboxCounters, number>();
  readonly #gate: UpgradeGate;
  #tasks = 0;
  #taskNo = 0;
  #connectionNo = 0;
  #closed: Promise<void> | undefined;
  #authority = '';

  constructor(options: SandboxOptions) {
    this.recogniser = options.recogniser;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#timers = { ...SANDBOX_TIMERS, ...options.timers };
    this.#credentials = new Credentials(options.apiKeys ?? 'any', this.#clock);
    this.#vocabularies = new Vocabularies(this.#clock, this.#timers.deployMs);
    this.#phrases = new Phrases(this.#clock);
    this.#ffmpeg = new FfmpegPool(options.ffmpegCommand === undefined ? 'ffmpeg' : options.ffmpegCommand);
    for (const [id, model] of Object.entries(options.vocabularies ?? {})) this.#vocabularies.put(id, model);
    const limit = options.rateLimit ?? SANDBOX_RATE_LIMIT;
    if (limit !== 'off') this.#bucket = new TokenBucket(limit, this.#clock.monotonicMs());
    this.#api = new HttpApi({
      clock: this.#clock,
      credentials: this.#credentials,
      vocabularies: this.#vocabularies,
      phrases: this.#phrases,
      desk: this.desk,
      describe: () => ({
        sandbox: options.recogniser.description,
        websocket: this.url,
        http: this.httpUrl,
        faults: this.faultsUrl,
        counters: this.counters,
        live: this.live,
      }),
    });
    this.#http = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => {
        this.#api.handle(request, response);
      },
    );
    this.#http.maxConnections = (options.maxConnections ?? MAX_CONNECTIONS) + HTTP_CONNECTIONS_MAX;
    this.#gate = new UpgradeGate(this.#timers.idleMs, () => {
      this.#count('connectionsRefused');
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

  get faultsUrl(): string {
    return `http://${this.#authority}/sandbox/faults`;
  }

  get counters(): SandboxCounters {
    const names = [
      'connections',
      'connectionsRefused',
      'hotWordsApplied',
      'hotWordsIgnored',
      ...SOCKET_COUNTS,
    ] as const;
    return Object.fromEntries(names.map((name) => [name, this.#counters.get(name) ?? 0])) as Record<
      (typeof names)[number],
      number
    >;
  }

  get live(): SandboxLive {
    return {
      sockets: this.#sockets.clients.size,
      tasks: this.#tasks,
      decoders: this.#ffmpeg.running,
      tokens: this.#credentials.tokens,
      vocabularies: this.#vocabularies.size,
      phrases: this.#phrases.size,
    };
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
      this.#api.close();
      for (const socket of this.#sockets.clients) socket.terminate();
      this.#gate.close();
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
    this.#gate.handle(socket, this.#judge(request, socket, head));
  }

  #judge(request: IncomingMessage, socket: Duplex, head: Buffer): Upgrade {
    const refused = (refusal: RefusalFault): Upgrade => ({ kind: 'refused', refusal });
    const { maxConnections = MAX_CONNECTIONS, protocol = 'lenient', refuse } = this.#options;
    const asked = refuse?.(this.#connectionNo);
    if (asked !== undefined) return refused(asked);
    const address = inferenceAddress(request);
    if (address.kind === 'refused') return address;
    const { query } = address;
    const read = readSocketTerms(query, protocol);
    if (read.kind === 'refused') return read;
    const { terms } = read;
    // Browsers cannot set headers and send the key in the query.
    const credential = credentialOf(request) ?? query.get('api_key') ?? undefined;
    if (this.#credentials.judge(credential) === 'unknown') return refused(UNAUTHORIZED);
    if (this.#sockets.clients.size + this.#gate.waiting >= maxConnections) return refused(OVERLOADED);
    const accept = (): void => {
      this.#sockets.handleUpgrade(request, socket, head, (accepted) => {
        this.#onSocket(accepted, terms);
      });
    };
    return { kind: 'accepted', fault: terms.desk.forConnection() ?? this.desk.forConnection(), accept };
  }

  #onSocket(socket: WebSocket, { protocol, desk }: SocketTerms): void {
    this.#count('connections');
    new TaskSocket(socket, {
      recogniser: this.recogniser,
      ffmpeg: this.#ffmpeg,
      protocol,
      timers: this.#timers,
      clock: this.#clock,
      logger: this.#options.logger,
      admit: (task) => this.#admit(task, desk),
      count: (what, by) => {
        this.#count(what, by);
      },
      onTask: (by) => {
        this.#tasks += by;
      },
    });
  }

  #admit(task: TaskRequest, desk: FaultDesk): Admission {
    this.#taskNo += 1;
    const own = this.#options.faults?.(task, this.#taskNo) ?? {};
    if (this.#bucket?.take(this.#clock.monotonicMs()) === false) {
      const message = 'Requests rate limit exceeded, please try again later.';
      return { kind: 'refused', failure: { code: 'Throttling.RateQuota', message } };
    }
    if (!this.#findHotWords(task)) return { kind: 'refused', failure: NOT_EXISTING };
    return { kind: 'admitted', faults: mergeTaskFaults([this.desk.forTask(), desk.forTask(), own]) };
  }

  /** Whether they exist. Those that were made for another model do nothing, and nobody is told. */
  #findHotWords({ model, vocabularyId, phraseId }: TaskRequest): boolean {
    const targets = [
      vocabularyId === undefined ? 'none' : this.#vocabularies.get(vocabularyId)?.targetModel,
      phraseId === undefined ? 'none' : this.#phrases.get(phraseId)?.model,
    ];
    if (targets.includes(undefined)) return false;
    for (const target of targets) {
      if (target !== 'none') this.#count(target === model ? 'hotWordsApplied' : 'hotWordsIgnored');
    }
    return true;
  }
}
