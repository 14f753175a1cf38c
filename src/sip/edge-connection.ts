import { once } from 'node:events';
import { connect } from 'node:net';

import type Srf from 'drachtio-srf';

import { CallscribeError, systemCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';

export interface EdgeConnectionOptions {
  readonly srf: Srf;
  /** drachtio-server, or the embedded edge. */
  readonly server: { readonly host: string; readonly port: number; readonly secret: string };
  readonly onLost: () => void;
  readonly logger: Logger;
}

const CONNECT_TIMEOUT_MS = 5_000;

/** The connection to the SIP edge; drachtio-srf makes it again by itself when it is lost. */
export class EdgeConnection {
  readonly #options: EdgeConnectionOptions;
  #connected = false;
  #closing = false;

  private constructor(options: EdgeConnectionOptions) {
    this.#options = options;
  }

  /** @throws {CallscribeError} SIP_EDGE_UNREACHABLE when there is no connection within 5 s, or the secret is wrong */
  static async open(options: EdgeConnectionOptions): Promise<EdgeConnection> {
    const connection = new EdgeConnection(options);
    // drachtio-srf tries for ever and cannot be stopped before its first connection, so that is tried out first.
    await probe(options.server).catch((error: unknown) => {
      throw connection.#unreachable(systemCode(error) ?? 'no answer', error);
    });
    await connection.#authenticate();
    options.logger.info({ host: options.server.host, port: options.server.port }, 'SIP edge connected');
    return connection;
  }

  get connected(): boolean {
    return this.#connected;
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#options.srf.disconnect();
  }

  async #authenticate(): Promise<void> {
    const { srf, server } = this.#options;
    srf.on('close' as 'disconnect', () => {
      this.#lost(undefined);
    });
    srf.on('error', (error) => {
      this.#lost(error);
    });
    const answered = new Promise<void>((resolve, reject) => {
      srf.on('connect', (error: Error | null) => {
        this.#connected = error === null;
        if (error === null) resolve();
        else reject(error);
      });
    });
    void srf.connect(server);
    const outcome = await within(CONNECT_TIMEOUT_MS, answered).catch((error: unknown) => error);
    if (outcome === 'done') return;
    this.close();
    throw this.#unreachable('the secret was refused, or it is no drachtio-server', outcome);
  }

  /** Calls that stand go on meanwhile. */
  #lost(error: Error | undefined): void {
    if (this.#closing || !this.#connected) return;
    this.#connected = false;
    this.#options.onLost();
    this.#options.logger.error({ err: error }, 'connection to the SIP edge lost, reconnecting');
  }

  #unreachable(found: string, cause: unknown): CallscribeError {
    const { host, port } = this.#options.server;
    return new CallscribeError(
      'SIP_EDGE_UNREACHABLE',
      `drachtio-server at ${host}:${port}: ${found}. Check DRACHTIO_HOST, DRACHTIO_PORT and ` +
        'DRACHTIO_SECRET, or unset DRACHTIO_HOST to use the embedded edge',
      { cause, retryable: true },
    );
  }
}

async function probe({ host, port }: EdgeConnectionOptions['server']): Promise<void> {
  const socket = connect({ host, port });
  try {
    const outcome = await within(CONNECT_TIMEOUT_MS, once(socket, 'connect'));
    if (outcome === 'too-late') throw new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`);
  } finally {
    socket.destroy();
  }
}
