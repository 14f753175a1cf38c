import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/** A way to a server that can be cut and mended: connections drop, new ones are closed at once or refused. */
export class TcpProxy {
  #target: { readonly host: string; readonly port: number };
  readonly #sockets = new Set<Socket>();
  #server: Server;
  #port = 0;
  #isCut = false;

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = this.#makeServer();
  }

  /** Opens a way to the server that the URL names. */
  static async to(url: string): Promise<TcpProxy> {
    const { hostname, port } = new URL(url);
    const proxy = new TcpProxy({ host: hostname, port: Number(port) });
    await proxy.#listen();
    return proxy;
  }

  /** The same URL by way of this proxy. */
  url(of: string): string {
    const url = new URL(of);
    url.hostname = '127.0.0.1';
    url.port = String(this.#port);
    return url.href;
  }

  /** New connections lead to another server; those that stand stay where they are. */
  lead(url: string): void {
    const { hostname, port } = new URL(url);
    this.#target = { host: hostname, port: Number(port) };
  }

  /** `drop`: the port still accepts, and closes at once. `refuse`: nothing listens any more. */
  async cut(how: 'drop' | 'refuse'): Promise<void> {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
    if (how === 'refuse' && this.#server.listening) await this.#unlisten();
  }

  async mend(): Promise<void> {
    this.#isCut = false;
    if (!this.#server.listening) {
      this.#server = this.#makeServer();
      await this.#listen();
    }
  }

  async close(): Promise<void> {
    await this.cut('refuse');
  }

  #makeServer(): Server {
    return createServer((inbound) => {
      if (this.#isCut) {
        inbound.destroy();
        return;
      }
      const outbound = connect(this.#target.port, this.#target.host);
      inbound.pipe(outbound).pipe(inbound);
      for (const socket of [inbound, outbound]) {
        this.#sockets.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => {
          this.#sockets.delete(socket);
          inbound.destroy();
          outbound.destroy();
        });
      }
    });
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address !== null && typeof address === 'object') this.#port = address.port;
  }

  async #unlisten(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}
