import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

import type { Logger } from '../log.ts';
import { AppClient, type AppClientOptions } from './app-client.ts';

const LOOPBACK = '127.0.0.1';
/** Applications at once; a further connection is closed at once. */
const CLIENTS_MAX = 16;

type Options = Omit<AppClientOptions, 'onClose'> & { readonly onGone: (client: AppClient) => void };

/** Where drachtio clients connect: a port of the loopback address that the system chooses. */
export class AppServer {
  readonly host = LOOPBACK;
  readonly port: number;
  readonly #server: Server;
  readonly #logger: Logger;
  readonly #clients = new Set<AppClient>();
  #turn = 0;

  static async open(options: Options): Promise<AppServer> {
    const server = createServer();
    server.listen({ host: LOOPBACK, port: 0, exclusive: true });
    await once(server, 'listening');
    return new AppServer(server, options);
  }

  private constructor(server: Server, options: Options) {
    this.#server = server;
    this.#logger = options.logger;
    const address = server.address();
    if (address === null || typeof address === 'string') {
      throw new Error('a TCP server without an IP address');
    }
    this.port = address.port;
    server.on('connection', (socket) => {
      if (this.#clients.size >= CLIENTS_MAX) {
        this.#logger.warn({ clients: this.#clients.size }, 'edge refused a client: too many');
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

  get clients(): number {
    return this.#clients.size;
  }

  /** The next client, in turn, that asked for requests of that method. */
  pick(method: string): AppClient | undefined {
    const able = [...this.#clients].filter((client) => client.routes(method));
    this.#turn += 1;
    return able[this.#turn % able.length];
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const client of this.#clients) client.close();
    await closed;
  }
}
