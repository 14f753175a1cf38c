import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

import { CallscribeError } from '../errors.ts';

export interface RedisServerOptions {
  /** Where it keeps its data over a restart. */
  readonly directory: string;
  readonly port: number;
}

/** A Redis of the harness' own, that can be stopped, started again with its data, and emptied. */
export class RedisServer {
  readonly #options: RedisServerOptions;
  #child: ChildProcess | undefined;

  private constructor(options: RedisServerOptions) {
    this.#options = options;
  }

  /** @throws {CallscribeError} USAGE where there is no redis-server on the PATH */
  static async start(options: RedisServerOptions): Promise<RedisServer> {
    const server = new RedisServer(options);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#options.port}`;
  }

  /** With what it had when it was ended by SIGTERM; what it had a second before, after SIGKILL. */
  async start(): Promise<void> {
    const { directory, port } = this.#options;
    const settings = { bind: '127.0.0.1', dir: directory, appendonly: 'yes', save: '', port: String(port) };
    const child = spawn(
      'redis-server',
      Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.once('error', () => {
        reject(
          new CallscribeError(
            'USAGE',
            'redis-server is not on the PATH; install it, or use --queue postgres',
          ),
        );
      });
      child.once('exit', (code) => {
        reject(new Error(`redis-server ended with code ${code ?? 'none'}`));
      });
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.includes('Ready to accept connections')) resolve();
      });
    });
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** FLUSHALL, as one who has the wrong window open. */
  async flush(): Promise<void> {
    const socket = connect(this.#options.port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      socket.write('FLUSHALL\r\n');
      const [answer] = (await once(socket, 'data')) as [Buffer];
      if (!answer.toString().startsWith('+OK')) throw new Error('Redis did not flush');
    } finally {
      socket.destroy();
    }
  }
}
