import { once } from 'node:events';
import { createServer } from 'node:net';

import { CallscribeError, systemCode, toError } from '../errors.ts';
import { AppClient, type AppClientOptions } from './app-client.ts';

/** Applications at once; a further connection is closed at once. */
const CLIENTS_MAX = 16;

type Options = Omit<AppClientOptions, 'onClose'> & { readonly onGone: (client: AppClient) => void };

/** Where drachtio clients connect. */
export class AppServer {
  readonly #server = createServer();
  readonly #clients = new Set<AppClient>();
  /** Who had the last request, by method. */
  readonly #turns = new Map<string, number>();

  constructor(options: Options) {
    this.#server.on('connection', (socket) => {
      if (this.#clients.size >= CLIENTS_MAX) {
        options.logger.warn({ clients: this.#clients.size }, 'edge refused a client: too many');
        socket.destroy();
        return;
      }
      const onClose = (client: AppClient): void => {
        this.#clients.delete(client);
        options.onGone(client);
      };
      this.#clients.add(new AppClient(socket, { ...options, onClose }));
    });
  }

  /**
   * @returns the port, which the system chose where 0 was asked
   * @throws {CallscribeError} `ADDRESS_IN_USE`; other faults of the system as they are
   */
  async listen(host: string, port: number): Promise<number> {
    const listening = once(this.#server, 'listening');
    this.#server.listen({ host, port, exclusive: true });
    try {
      await listening;
    } catch (thrown) {
      if (systemCode(thrown) !== 'EADDRINUSE') throw toError(thrown);
      throw new CallscribeError(
        'ADDRESS_IN_USE',
        `SIP edge: another process listens on ${host}:${port}. End it, or set DRACHTIO_PORT to another port`,
        { cause: thrown },
      );
    }
    const address = this.#server.address();
    if (address === null || typeof address === 'string') {
      throw new Error('a TCP server without an IP address');
    }
    return address.port;
  }

  get clients(): number {
    return this.#clients.size;
  }

  /**
   * The next client, in turn, that asked for requests of that method. Each method has turns of its own, as with
   * drachtio-server, so that OPTIONS between the INVITEs leave the calls evenly shared.
   */
  pick(method: string): AppClient | undefined {
    const able = [...this.#clients].filter((client) => client.routes(method));
    if (able.length === 0) return undefined;
    const turn = ((this.#turns.get(method) ?? -1) + 1) % able.length;
    this.#turns.set(method, turn);
    return able[turn];
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const client of this.#clients) client.close();
    await closed;
  }
}
