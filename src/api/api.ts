import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';

import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';

import { toError } from '../errors.ts';
import { guardRoutes } from './authenticate.ts';
import type { AddRoutes, ApiContext } from './context.ts';
import { allowOrigins } from './cors.ts';
import { addEtags } from './etag.ts';
import { limitRequests } from './limits.ts';
import { answerUnrouted } from './methods.ts';
import { describeApi } from './openapi.ts';
import { problemOf } from './problem.ts';
import { addCallDetailRoutes } from './routes/call-detail.ts';
import { addCallRoutes } from './routes/calls.ts';
import { addControlRoutes } from './routes/control.ts';
import { addDeadWebhookRoutes } from './routes/dead-webhooks.ts';
import { addLiveRoutes } from './routes/live.ts';
import { addRecordingRoutes } from './routes/recording.ts';
import { addSearchRoutes } from './routes/search.ts';
import { addTranscriptRoutes } from './routes/transcript.ts';
import { addTranscriptionRoutes } from './routes/transcriptions.ts';
import { addVoicemailRoutes } from './routes/voicemails.ts';
import { addWebhookRoutes } from './routes/webhooks.ts';

/** Every file of routes below /v1. */
const ROUTES: readonly AddRoutes[] = [
  addCallRoutes,
  addCallDetailRoutes,
  addTranscriptRoutes,
  addRecordingRoutes,
  addWebhookRoutes,
  addDeadWebhookRoutes,
  addSearchRoutes,
  addControlRoutes,
  addTranscriptionRoutes,
  addLiveRoutes,
  addVoicemailRoutes,
];

/** What a route takes in its body, where it does not say otherwise. */
const BODY_MAX_BYTES = 65_536;
/** After so long a client may ask again. */
const RETRY_AFTER_SECONDS = 2;

/**
 * The API, ready to answer. It does not listen: requests are handed to its `routing`, and those for WebSockets come by the
 * `upgrade` event of `webSockets`.
 */
export async function createApi(context: ApiContext, webSockets: Server): Promise<FastifyInstance> {
  const { metrics, logger } = context;
  const app = fastify({
    logger: false,
    bodyLimit: BODY_MAX_BYTES,
    serverFactory: () => webSockets,
    genReqId: ({ headers }) => requestIdOf(headers['x-request-id']),
    // A malformed address never reaches the hooks.
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);

  app.addHook('onRequest', (request, reply, done) => {
    void reply.headers({
      'x-request-id': request.id,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { url: route = 'none' } = request.routeOptions;
    metrics.apiRequests.observe(
      { method: request.method, route, status: String(reply.statusCode) },
      reply.elapsedTime / 1_000,
    );
    // After an upgrade the server leaves the socket to us; one that was refused is done.
    if (request.headers.upgrade !== undefined) request.raw.socket.destroySoon();
    done();
  });
  app.setErrorHandler(sendProblem);
  answerUnrouted(app);

  await allowOrigins(app, context.settings.corsOrigins);
  await describeApi(app);
  await app.register(
    async (v1) => {
      addEtags(v1.withTypeProvider<ZodTypeProvider>());
      guardRoutes(v1, context.authenticate, metrics);
      await limitRequests(v1, context.settings.requestsPerMinute, metrics);
      for (const addRoutes of ROUTES) {
        await v1.register(async (scope) => addRoutes(scope.withTypeProvider<ZodTypeProvider>(), context));
      }
    },
    { prefix: '/v1' },
  );
  await app.ready();
  return app;

  function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const { status, problem, isOurs } = problemOf(thrown, request.id);
    if (isOurs) {
      const route = request.routeOptions.url;
      logger.error({ err: toError(thrown), route, requestId: request.id }, 'a request of the API failed');
    }
    if (status === 503 || problem.code === 'TOO_MANY_STREAMS') {
      void reply.header('retry-after', String(RETRY_AFTER_SECONDS));
    }
    return reply.code(status).type('application/problem+json').send(JSON.stringify(problem));
  }
}

/** The client's own, where it can stand in a header and in a log. */
function requestIdOf(header: string | readonly string[] | undefined): string {
  return typeof header === 'string' && /^[\w.:-]{1,128}$/.test(header) ? header : randomUUID();
}
