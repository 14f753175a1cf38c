import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { fastify, type FastifyInstance } from 'fastify';

import type { HostPort } from '../config.ts';
import { CallscribeError, systemCode } from '../errors.ts';
import type { Metrics } from '../metrics.ts';
import { answerWithoutUpgrade, asksForWebSocket } from './without-upgrade.ts';

export interface HttpServerOptions {
  readonly listen: HostPort;
  readonly metrics: Metrics;
  /** Named checks; the process is ready when all are true. */
  readonly readiness: Readonly<Record<string, () => boolean>>;
}

export interface HttpServer {
  /** Such as `http://127.0.0.1:8080`, with the actual port where 0 was asked for. */
  readonly url: string;
  /** Listens to no port: who listens to its `upgrade` gets the requests for WebSockets, and no others. */
  readonly webSockets: Server;
  /** Hands every request but those of this file to an app that is ready; until then they get 404. */
  mount(app: MountedApp): void;
  close(): Promise<void>;
}

/** What answers requests without listening itself, such as a Fastify app. */
export interface MountedApp {
  routing(request: IncomingMessage, response: ServerResponse): void;
}

/** What this file serves itself, whatever is mounted. */
const OWN_PATHS = /^\/(?:healthz|readyz|metrics)(?:\?|$)/;

/**
 * Serves `/healthz` (the process is alive), `/readyz` (can take work; 503 with what is missing otherwise) and
 * `/metrics` (Prometheus).
 *
 * @throws {CallscribeError} ADDRESS_IN_USE
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  let mounted: MountedApp | undefined;
  const app = fastify({
    logger: false,
    bodyLimit: 65_536,
    serverFactory: (handle) =>
      createServer((request, response) => {
        if (mounted === undefined || OWN_PATHS.test(request.url ?? '')) handle(request, response);
        else mounted.routing(request, response);
      }),
  });
  app.get('/healthz', () => ({ status: 'ok' }));
  app.get('/readyz', (_request, reply) => {
    const checks = Object.fromEntries(
      Object.entries(options.readiness).map(([name, check]) => [name, check()]),
    );
    const ready = Object.values(checks).every(Boolean);
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', checks });
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(options.metrics.registry.contentType).send(await options.metrics.registry.metrics()),
  );
  const webSockets = createServer();
  app.server.on('upgrade', (request, socket, head) => {
    const isTaken = webSockets.listenerCount('upgrade') > 0 && asksForWebSocket(request);
    if (isTaken) webSockets.emit('upgrade', request, socket, head);
    else answerWithoutUpgrade(app.server, request, socket, head);
  });
  const url = await listen(app, options.listen);
  return {
    url,
    webSockets,
    mount: (other) => {
      mounted = other;
    },
    close: async () => {
      await app.close();
    },
  };
}

async function listen(app: FastifyInstance, { host, port }: HostPort): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    await app.close();
    if (systemCode(error) !== 'EADDRINUSE') throw error;
    throw new CallscribeError(
      'ADDRESS_IN_USE',
      `HTTP: another process listens on ${host}:${port}. End it, or set HTTP_LISTEN to another port (0 takes a free one)`,
      { cause: error },
    );
  }
}
