import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import type { WebSocket } from '@fastify/websocket';

import type { CloseReason, Sink } from '../live/outlet.ts';

// How a live stream reaches a client: as server-sent events, or over a WebSocket. Both carry the same items and ids.

/** A client that takes nothing is not waited for when its stream is closed. */
const CLOSE_MAX_MS = 2_000;
/** After so long an EventSource comes back. */
const RETRY_MS = 1_000;

/** Begins an answer of server-sent events, with the headers that the app has set. */
export function sseSink(
  response: ServerResponse,
  headers: Readonly<Record<string, number | string | string[] | undefined>>,
): Sink {
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) response.setHeader(name, value);
  }
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // For nginx, which would collect what is to be seen at once.
    'x-accel-buffering': 'no',
  });
  response.write(`retry: ${RETRY_MS}\n\n`);
  // What comes in one turn of the loop goes out in one write: a burst costs one system call for each client.
  let turn: Buffer[] = [];
  let turnBytes = 0;
  const flush = (): void => {
    const [first, ...more] = turn;
    if (first !== undefined) response.write(more.length === 0 ? first : Buffer.concat(turn, turnBytes));
    turn = [];
    turnBytes = 0;
  };
  const add = (bytes: Buffer): void => {
    if (turn.length === 0) queueMicrotask(flush);
    turn.push(bytes);
    turnBytes += bytes.length;
  };
  return {
    send: ({ event }, id) => {
      // The order of an event's fields does not matter, so that all but the id is the same for everybody.
      if (id !== undefined) add(Buffer.from(`id: ${id}\n`, 'latin1'));
      add(event);
    },
    bytesOf: ({ event }) => event.length,
    get waitingBytes() {
      return response.writableLength + turnBytes;
    },
    beat: () => {
      response.write(': beat\n\n');
    },
    close: (reason) => {
      flush();
      response.end(`event: end\ndata: ${JSON.stringify({ reason })}\n\n`);
      setTimeout(() => response.destroy(), CLOSE_MAX_MS).unref();
    },
  };
}

const CLOSE_CODES: Readonly<Record<CloseReason, number>> = {
  ended: 1000,
  shutdown: 1001,
  too_slow: 4008,
  replaced: 4009,
  revoked: 4001,
};

/**
 * @param connection below the WebSocket
 * @param onRoom the socket has taken something
 */
export function webSocketSink(socket: WebSocket, connection: Socket, onRoom: () => void): Sink {
  let answered = true;
  let isCorked = false;
  // As above: the messages of one turn in one write.
  const cork = (): void => {
    if (isCorked) return;
    isCorked = true;
    connection.cork();
    queueMicrotask(() => {
      isCorked = false;
      connection.uncork();
    });
  };
  socket.on('pong', () => (answered = true));
  return {
    send: ({ message }, id) => {
      cork();
      const head = Buffer.from(id === undefined ? '{' : `{"id":"${id}",`, 'latin1');
      socket.send(Buffer.concat([head, message]), { binary: false }, onRoom);
    },
    bytesOf: ({ message }) => message.length,
    get waitingBytes() {
      return socket.bufferedAmount;
    },
    beat: () => {
      if (!answered) socket.terminate();
      answered = false;
      socket.ping();
    },
    close: (reason) => {
      socket.close(CLOSE_CODES[reason], reason);
      setTimeout(() => {
        socket.terminate();
      }, CLOSE_MAX_MS).unref();
    },
  };
}
