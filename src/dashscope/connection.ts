import type { IncomingMessage } from 'node:http';

import { type RawData, WebSocket } from 'ws';

import { CallscribeError, systemCode, toError } from '../errors.ts';
import { DashScopeConnectionLost, DashScopeError } from './errors.ts';
import { readRefusal } from './refused-handshake.ts';

/** A key or temporary token; a function is asked before each connection, for keys that are renewed. */
export type ApiKey = string | (() => string | Promise<string>);

export interface ConnectionOptions {
  /** Such as `wss://dashscope.aliyuncs.com/api-ws/v1/inference`; a trailing slash is dropped. */
  readonly url: string;
  readonly apiKey: ApiKey;
  /** `X-DashScope-WorkSpace`; undefined for the account's default workspace. */
  readonly workspace?: string | undefined;
  /** A peer that is silent for a whole interval after a ping counts as gone. Default: 20 s. */
  readonly pingIntervalMs?: number | undefined;
  /** How long a close may take before the socket is cut. Default: 1 s. */
  readonly closeTimeoutMs?: number | undefined;
  /** Longest message that is taken; beyond it the connection ends with `ASR_PROTOCOL`. Default: 1 MiB. */
  readonly maxMessageBytes?: number | undefined;
}

/** What the owner of a connection is told. After `onEnd`, `close` or `release`, nothing. */
export interface ConnectionListener {
  /** The wait in a queue is over, see {@link Connection.queued}. */
  onTurn?(): void;
  onOpen(): void;
  onText(text: string): void;
  /** The operating system took audio that was sent: `bufferedBytes` has shrunk. */
  onDrain?(): void;
  /** Once, unless the owner closed or cut the connection itself: it was refused, never made, or lost. */
  onEnd(error: Error): void;
}

export interface Connection {
  /** Waits for its turn to connect; the queue bounds that wait, so the task's deadline begins with `onTurn`. */
  readonly queued: boolean;
  /** Only between `onOpen` and the end; later calls do nothing. */
  sendText(text: string): void;
  sendAudio(frame: Buffer): void;
  /** Bytes that were sent but that the operating system has not taken. */
  readonly bufferedBytes: number;
  /** Says goodbye; resolves when the socket is gone, in bounded time. May be called twice. */
  close(): Promise<void>;
  /** The same after a task that the service finished: the socket may serve another. */
  release(): Promise<void>;
}

/** Hands out a connection for one task. */
export type OpenConnection = (listener: ConnectionListener) => Connection;

/** Begins a connection; needs no bound of its own, since the task's deadline covers key, DNS, TCP, TLS and upgrade. */
export function connect(options: ConnectionOptions, listener: ConnectionListener): Connection {
  return WsConnection.begin(options, listener);
}

const PING_INTERVAL_MS = 20_000;
const CLOSE_TIMEOUT_MS = 1_000;
const MAX_MESSAGE_BYTES = 1 << 20;
const NORMAL_CLOSURE = 1000;

class WsConnection implements Connection {
  readonly queued = false;
  readonly #options: ConnectionOptions;
  readonly #listener: ConnectionListener;
  #socket: WebSocket | undefined;
  #pingTimer: NodeJS.Timeout | undefined;
  #peerSeen = true;
  #opened = false;
  #ended = false;
  #closing: Promise<void> | undefined;
  /** What `ws` said was wrong before it said that the socket is closed. */
  #fault: Error | undefined;
  /** One for all frames. A failed write is followed by the socket's own `close`, which is where the loss is told. */
  readonly #onFrameSent = (): void => {
    if (!this.#ended) this.#listener.onDrain?.();
  };

  private constructor(options: ConnectionOptions, listener: ConnectionListener) {
    this.#options = options;
    this.#listener = listener;
  }

  static begin(options: ConnectionOptions, listener: ConnectionListener): WsConnection {
    const connection = new WsConnection(options, listener);
    void connection.#begin();
    return connection;
  }

  get bufferedBytes(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  sendText(text: string): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(text, ignoreSendError);
  }

  sendAudio(frame: Buffer): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(frame, this.#onFrameSent);
  }

  close(): Promise<void> {
    this.#ended = true;
    this.#closing ??= this.#closeSocket();
    return this.#closing;
  }

  release(): Promise<void> {
    return this.close();
  }

  async #begin(): Promise<void> {
    const { url, apiKey, workspace } = this.#options;
    try {
      // Always a turn later, so that even an immediate fault finds a listener that holds its connection.
      const key = await (typeof apiKey === 'function' ? apiKey() : apiKey);
      if (this.#ended) return;
      const socket = new WebSocket(withoutTrailingSlash(url), {
        headers: {
          Authorization: `Bearer ${key}`,
          ...(workspace === undefined ? {} : { 'X-DashScope-WorkSpace': workspace }),
        },
        // PCM does not shrink, and the service is not known to offer it.
        perMessageDeflate: false,
        maxPayload: this.#options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
      });
      this.#socket = socket;
      this.#listen(socket);
    } catch (thrown) {
      // The key's provider failed, or `ws` takes neither the address nor the key as they are.
      this.#end(withoutKey(thrown));
    }
  }

  #listen(socket: WebSocket): void {
    socket.on('open', () => {
      this.#opened = true;
      this.#startPings(socket);
      if (!this.#ended) this.#listener.onOpen();
    });
    socket.on('message', (data: RawData, isBinary: boolean) => {
      this.#peerSeen = true;
      // The service speaks text only; what else comes says nothing to us.
      if (!this.#ended && !isBinary) this.#listener.onText((data as Buffer).toString('utf8'));
    });
    socket.on('pong', () => {
      this.#peerSeen = true;
    });
    socket.on('unexpected-response', (_request, response: IncomingMessage) => {
      void readRefusal(response).then((error) => {
        this.#end(error);
        socket.terminate();
      });
    });
    socket.on('error', (error) => {
      this.#fault = error;
      if (!this.#opened) this.#end(unreachable(this.#options.url, error));
    });
    socket.on('close', (code, reason) => {
      clearInterval(this.#pingTimer);
      this.#end(this.#lost(code, reason.toString('utf8')));
    });
  }

  #lost(closeCode: number, reason: string): Error {
    const fault = this.#fault;
    if (fault !== undefined && systemCode(fault)?.startsWith('WS_ERR_') === true) {
      return new DashScopeError('protocol', 'ASR_PROTOCOL', 'the recogniser broke the WebSocket protocol', {
        cause: fault,
        retryable: true,
      });
    }
    return new DashScopeConnectionLost(closeCode, reason, fault);
  }

  #startPings(socket: WebSocket): void {
    this.#pingTimer = setInterval(() => {
      if (!this.#peerSeen) {
        this.#fault = new Error('no sign of life since the last ping');
        socket.terminate();
        return;
      }
      this.#peerSeen = false;
      socket.ping(ignoreSendError);
    }, this.#options.pingIntervalMs ?? PING_INTERVAL_MS);
  }

  #end(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#listener.onEnd(error);
  }

  async #closeSocket(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined || socket.readyState === WebSocket.CLOSED) return;
    await new Promise<void>((resolve) => {
      const cut = setTimeout(() => {
        socket.terminate();
      }, this.#options.closeTimeoutMs ?? CLOSE_TIMEOUT_MS);
      socket.once('close', () => {
        clearTimeout(cut);
        resolve();
      });
      // While connecting there is nobody to say goodbye to; `ws` gives the request up.
      if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
      else socket.close(NORMAL_CLOSURE);
    });
  }
}

/** As for frames: `close` follows. */
function ignoreSendError(): void {
  return;
}

/** A new error each time: a provider may give the same one to all who wait for its key. */
function withoutKey(thrown: unknown): DashScopeError {
  if (!(thrown instanceof CallscribeError)) {
    const text = 'the recogniser’s address or key cannot be used';
    return new DashScopeError('network', 'ASR_UNREACHABLE', text, { cause: thrown });
  }
  const known = thrown instanceof DashScopeError ? thrown : undefined;
  return new DashScopeError(known?.kind ?? 'network', thrown.code, thrown.message, {
    cause: thrown,
    retryable: thrown.retryable,
    requestId: known?.requestId,
    httpStatus: known?.httpStatus,
    dashscopeCode: known?.dashscopeCode,
    dashscopeMessage: known?.dashscopeMessage,
  });
}

/** The host is named, the rest of the address is not: it may hold a workspace's name. */
function unreachable(url: string, thrown: unknown): DashScopeError {
  const code = systemCode(toError(thrown));
  const host = URL.canParse(url) ? new URL(url).host : 'an address that is no URL';
  return new DashScopeError(
    'network',
    'ASR_UNREACHABLE',
    `the recogniser at ${host} cannot be reached${code === undefined ? '' : ` (${code})`}; ` +
      'check DASHSCOPE_WS_URL and the network',
    { cause: thrown, retryable: true },
  );
}

function withoutTrailingSlash(url: string): string {
  // A trailing slash connected and started on one regional domain, then failed with InvalidParameter.
  return url.replace(/\/+$/, '');
}
