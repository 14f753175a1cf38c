import fastifyWebsocket from '@fastify/websocket';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';

import { issueTicket, TICKET_VALID_MS } from '../../access/tickets.ts';
import { CallscribeError } from '../../errors.ts';
import type { CallId } from '../../ids.ts';
import type { Connection, Subscriber } from '../../live/feed.ts';
import type { ManyStart } from '../../live/following.ts';
import type { Sink } from '../../live/outlet.ts';
import { type CallPosition, POSITION_MAX_CHARACTERS, readPosition, START } from '../../live/position.ts';
import { ENDED } from '../../live/subscription.ts';
import type { AddRoutes, ApiContext } from '../context.ts';
import { streamEvents, streamOver, takePlace } from '../live-stream.ts';
import { recordRead } from '../reads.ts';
import { receiveResumeMessage, RESUME_MESSAGE_MAX_BYTES } from '../resume-message.ts';
import { callParams, NOT_FOUND, PROBLEMS, textOf } from '../schemas.ts';
import { findCall, seenTenant } from '../tenant.ts';

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
  resume: z
    .literal('positions')
    .optional()
    .describe(
      'WebSocket over many calls: the first message of the client says where it goes on in each call',
    ),
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
    options: { maxPayload: RESUME_MESSAGE_MAX_BYTES, perMessageDeflate: false },
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
      takePlace(context, request);
      streamEvents(context, request, reply, (sink) =>
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
    preHandler: async (request) => {
      const { call, after, resume } = request.query;
      if (resume !== undefined) checkResume(request);
      if (call !== undefined) {
        await findCall(pool, request.principal, call.toLowerCase() as CallId);
        positionOf(after);
      }
      takePlace(context, request);
    },
    handler: (request, reply) => {
      streamEvents(context, request, reply, (sink) => follow(request, sink));
      return reply;
    },
    wsHandler: async (socket, request) => {
      const start = request.query.resume === undefined ? undefined : await receiveResumeMessage(socket);
      if (request.query.resume !== undefined && start === undefined) return;
      streamOver(context, request, socket, (sink) => follow(request, sink, start));
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

  function follow(request: LiveRequest, sink: Sink, start = startOf(request)): Promise<Connection> {
    const { call, tenant, agent, role, state } = request.query;
    const subscriber = subscriberOf(context, request, sink);
    if (call !== undefined) {
      return live.followCall(call.toLowerCase() as CallId, positionOf(afterOf(request)), subscriber);
    }
    const filter = { tenant: seenTenant(request.principal, tenant), agent, role, state };
    return live.followMany(filter, start, subscriber);
  }
};

type LiveRequest = FastifyRequest & {
  readonly query: z.infer<typeof liveQuery>;
  readonly headers: z.infer<typeof callHeaders>;
};

const afterOf = ({ query, headers }: LiveRequest): string | undefined =>
  query.after ?? headers['last-event-id'];

function startOf(request: LiveRequest): ManyStart {
  const lastId = afterOf(request);
  return lastId === undefined ? { kind: 'beginning' } : { kind: 'after', lastId };
}

/** @throws {CallscribeError} REQUEST_INVALID */
function checkResume(request: LiveRequest): void {
  const isManyOverSocket = request.headers.upgrade !== undefined && request.query.call === undefined;
  if (isManyOverSocket && afterOf(request) === undefined) return;
  throw new CallscribeError(
    'REQUEST_INVALID',
    'resume=positions is for a WebSocket over many calls, and in place of after= or Last-Event-ID',
  );
}

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
