import fastifyWebsocket, { type WebSocket } from '@fastify/websocket';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

import { issueTicket, TICKET_VALID_MS } from '../../access/tickets.ts';
import { CallscribeError } from '../../errors.ts';
import type { CallId } from '../../ids.ts';
import type { Connection, Subscriber } from '../../live/feed.ts';
import type { Sink } from '../../live/outlet.ts';
import { type CallPosition, POSITION_MAX_CHARACTERS, readPosition, START } from '../../live/position.ts';
import { ENDED } from '../../live/subscription.ts';
import { toStoreError } from '../../store/pool.ts';
import type { AddRoutes, ApiContext } from '../context.ts';
import { recordRead } from '../reads.ts';
import { callParams, NOT_FOUND, PROBLEMS, textOf } from '../schemas.ts';
import { sseSink, webSocketSink } from '../streams.ts';
import { findCall, seenTenant } from '../tenant.ts';

/** Clients have nothing to say on these sockets. */
const CLIENT_MESSAGE_MAX_BYTES = 4_096;

const lastId = z
  .string()
  .max(POSITION_MAX_CHARACTERS)
  .regex(/^[\w.:;-]+$/)
  .describe('The last id that was received: the stream goes on after it');

const ticket = z.string().max(128).describe('From POST /v1/live/tickets, in place of a token').optional();

const callQuery = z.object({ after: lastId.optional(), ticket });
const callHeaders = z.object({ 'last-event-id': lastId.optional() });

const liveQuery = z.object({
  call: z.uuid().optional().describe('One call alone; the other filters are not looked at then'),
  tenant: textOf(128).optional().describe('For credentials that see more than one'),
  agent: textOf(200).optional().describe('Name of the agent, or the user of their address'),
  role: z.enum(['agent', 'customer', 'mixed', 'unknown']).optional().describe('Sentences of these legs only'),
  state: z
    .enum(['active', 'finishing'])
    .optional()
    .describe('In which a call is taken up; it is followed from there to its end'),
  after: lastId.optional(),
  ticket,
});

const EVENTS = z
  .string()
  .describe(
    'Server-sent events: `call`, `sentence.partial`, `sentence.final`, `call.event`, `hello`, `reset`, `end`. ' +
      'What was said before comes first. See docs/live.md.',
  );
const STREAM = { content: { 'text/event-stream': { schema: EVENTS } }, description: 'A stream' };

/** `GET /v1/calls/{id}/events`, `GET /v1/live` as server-sent events and WebSocket, `POST /v1/live/tickets`. */
export const addLiveRoutes: AddRoutes = async (app, context) => {
  const { pool, live } = context;
  await app.register(fastifyWebsocket, {
    options: { maxPayload: CLIENT_MESSAGE_MAX_BYTES, perMessageDeflate: false },
  });

  app.get(
    '/calls/:id/events',
    {
      config: { scope: 'live', takesTicket: true },
      schema: {
        operationId: 'followCall',
        tags: ['live'],
        summary: 'One call, from its first sentence to its end, as server-sent events',
        params: callParams,
        querystring: callQuery,
        headers: callHeaders,
        response: {
          200: STREAM,
          204: z.null().describe('All of the call was received: do not come back'),
          ...PROBLEMS,
          ...NOT_FOUND,
        },
      },
    },
    async (request, reply) => {
      const { params, query, headers } = request;
      await findCall(pool, request.principal, params.id);
      const after = headers['last-event-id'] ?? query.after;
      if (after?.endsWith(ENDED)) return reply.code(204).send(null);
      const position = positionOf(after);
      streamEvents(context, reply, (sink) =>
        live.followCall(params.id, position, subscriberOf(context, request, sink)),
      );
      return reply;
    },
  );

  app.route({
    method: 'GET',
    url: '/live',
    config: { scope: 'live', takesTicket: true },
    schema: {
      operationId: 'followLive',
      tags: ['live'],
      summary: 'Calls that go on: over a WebSocket, or without an upgrade as server-sent events',
      querystring: liveQuery,
      headers: callHeaders,
      response: { 200: STREAM, ...PROBLEMS, ...NOT_FOUND },
    },
    preHandler: async ({ principal, query }) => {
      const { call, after } = query;
      if (call === undefined) return;
      await findCall(pool, principal, call.toLowerCase() as CallId);
      positionOf(after);
    },
    handler: (request, reply) => {
      streamEvents(context, reply, (sink) => follow(request, sink));
      return reply;
    },
    wsHandler: (socket, request) => {
      streamOver(context, socket, (sink) => follow(request, sink));
    },
  });

  app.post(
    '/live/tickets',
    {
      config: { scope: 'live' },
      schema: {
        operationId: 'makeTicket',
        tags: ['live'],
        summary: `A ticket that opens one stream within ${TICKET_VALID_MS / 1_000} seconds, for browsers`,
        response: { 201: z.object({ ticket: z.string(), expires_at: z.iso.datetime() }), ...PROBLEMS },
      },
    },
    async ({ principal }, reply) => {
      const { ticket: made, expiresAt } = await issueTicket(pool, principal);
      return reply.code(201).send({ ticket: made, expires_at: expiresAt.toISOString() });
    },
  );

  function follow(request: LiveRequest, sink: Sink): Promise<Connection> {
    const { call, tenant, agent, role, state, after } = request.query;
    const subscriber = subscriberOf(context, request, sink);
    const from = after ?? request.headers['last-event-id'];
    if (call !== undefined) {
      return live.followCall(call.toLowerCase() as CallId, positionOf(from), subscriber);
    }
    const filter = { tenant: seenTenant(request.principal, tenant), agent, role, state };
    return live.followMany(filter, typeof from === 'string' ? from : undefined, subscriber);
  }
};

type LiveRequest = FastifyRequest & {
  readonly query: z.infer<typeof liveQuery>;
  readonly headers: z.infer<typeof callHeaders>;
};

/** @throws {CallscribeError} CURSOR_INVALID */
function positionOf(id: string | undefined): CallPosition {
  if (id === undefined) return START;
  const text = id.endsWith(ENDED) ? id.slice(0, -ENDED.length) : id;
  const position = readPosition(text);
  if (position !== undefined) return position;
  throw new CallscribeError(
    'CURSOR_INVALID',
    'the last event id is none of a call’s stream: send the last one that was received, unchanged, or none',
  );
}

function subscriberOf({ pool }: ApiContext, request: FastifyRequest, sink: Sink): Subscriber {
  return {
    owner: request.principal.tokenId,
    sink,
    admit: (callId) => recordRead(pool, request, 'live', [callId]),
  };
}

/** Hands the answer over to a stream. */
function streamEvents(
  context: ApiContext,
  reply: FastifyReply,
  start: (sink: Sink) => Promise<Connection>,
): void {
  reply.hijack();
  const { raw } = reply;
  const stream = startStream(context, start(sseSink(raw, reply.getHeaders())), () => raw.destroy());
  raw.on('drain', stream.drained);
  raw.on('close', stream.gone);
  raw.on('error', stream.gone);
}

function streamOver(
  context: ApiContext,
  socket: WebSocket,
  start: (sink: Sink) => Promise<Connection>,
): void {
  const sink = webSocketSink(socket, () => {
    stream.drained();
  });
  const stream = startStream(context, start(sink), () => {
    socket.close(1011, 'internal');
  });
  socket.on('close', stream.gone);
  socket.on('error', stream.gone);
}

/** A connection that is still being made may be gone before. */
function startStream(
  { logger }: Pick<ApiContext, 'logger'>,
  connecting: Promise<Connection>,
  fail: () => void,
): Connection {
  let connection: Connection | undefined;
  let isGone = false;
  connecting.then(
    (made) => {
      connection = made;
      if (isGone) made.gone();
    },
    (thrown: unknown) => {
      logger.error({ err: toStoreError(thrown) }, 'a live stream could not begin');
      fail();
    },
  );
  return {
    drained: () => connection?.drained(),
    gone: () => {
      isGone = true;
      connection?.gone();
    },
  };
}
