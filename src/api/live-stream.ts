import type { WebSocket } from '@fastify/websocket';
import type { FastifyReply, FastifyRequest } from 'fastify';

import type { Connection } from '../live/feed.ts';
import type { Sink } from '../live/outlet.ts';
import { toStoreError } from '../store/pool.ts';
import type { ApiContext } from './context.ts';
import type { StreamPlace } from './open-streams.ts';
import { sseSink, webSocketSink } from './streams.ts';

// From a request to a stream: it has a place before it is answered, and frees it when its connection is gone.

const places = new WeakMap<FastifyRequest, StreamPlace>();

/**
 * Takes the request's place among the open streams, before anything is answered: the last that may refuse it.
 *
 * @throws {CallscribeError} TOO_MANY_STREAMS
 */
export function takePlace({ streams }: Pick<ApiContext, 'streams'>, request: FastifyRequest): void {
  const { socket } = request.raw;
  const place = streams.take(request.principal);
  places.set(request, place);
  // The client may be gone before there is a stream.
  socket.once('close', place.free);
  if (socket.destroyed) place.free();
}

/** Hands the answer over to a stream. */
export function streamEvents(
  { logger }: Pick<ApiContext, 'logger'>,
  request: FastifyRequest,
  reply: FastifyReply,
  start: (sink: Sink) => Promise<Connection>,
): void {
  reply.hijack();
  const { raw } = reply;
  const stream = startStream({ logger, request }, start(sseSink(raw, reply.getHeaders())), () =>
    raw.destroy(),
  );
  raw.on('drain', stream.drained);
  raw.on('close', stream.gone);
  raw.on('error', stream.gone);
}

/** Hands the socket over to a stream. */
export function streamOver(
  { logger }: Pick<ApiContext, 'logger'>,
  request: FastifyRequest,
  socket: WebSocket,
  start: (sink: Sink) => Promise<Connection>,
): void {
  const sink = webSocketSink(socket, request.raw.socket, () => {
    stream.drained();
  });
  const stream = startStream({ logger, request }, start(sink), () => {
    socket.close(1011, 'internal');
  });
  socket.on('close', stream.gone);
  socket.on('error', stream.gone);
}

/** A connection that is still being made may be gone, or to be ended, before. */
function startStream(
  { logger, request }: Pick<ApiContext, 'logger'> & { readonly request: FastifyRequest },
  connecting: Promise<Connection>,
  fail: () => void,
): Pick<Connection, 'drained' | 'gone'> {
  let connection: Connection | undefined;
  let isGone = false;
  let isRevoked = false;
  const place = places.get(request);
  connecting.then(
    (made) => {
      connection = made;
      if (isRevoked) made.close('revoked');
      if (isGone) made.gone();
    },
    (thrown: unknown) => {
      logger.error({ err: toStoreError(thrown) }, 'a live stream could not begin');
      fail();
    },
  );
  if (place !== undefined) {
    place.onRevoked = () => {
      isRevoked = true;
      connection?.close('revoked');
    };
  }
  return {
    drained: () => connection?.drained(),
    gone: () => {
      isGone = true;
      place?.free();
      connection?.gone();
    },
  };
}
