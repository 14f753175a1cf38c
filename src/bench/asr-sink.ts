import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { WebSocketServer } from 'ws';

export interface AsrSinkTotals {
  readonly tasks: number;
  readonly tasksFinished: number;
  /** Of audio, in all tasks. */
  readonly bytes: number;
}

/** A recogniser's end of the protocol that hears nothing. */
export interface AsrSink {
  readonly url: string;
  totals(): AsrSinkTotals;
  close(): Promise<void>;
}

const TASK_ID = /"task_id":"([^"]*)"/;

/**
 * Takes tasks and counts their audio: next to no work, so that a bench with thousands of frames a second measures who
 * sends them. What else the protocol asks of a server is the sandbox's.
 */
export async function startAsrSink(): Promise<AsrSink> {
  let tasks = 0;
  let tasksFinished = 0;
  let bytes = 0;
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, backlog: 511 });
  server.on('connection', (socket) => {
    socket.on('error', () => {
      socket.terminate();
    });
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) {
        bytes += data.length;
        return;
      }
      const text = data.toString();
      const isBegin = text.includes('"run-task"');
      if (isBegin) tasks += 1;
      else tasksFinished += 1;
      const header = {
        task_id: TASK_ID.exec(text)?.[1] ?? '',
        event: isBegin ? 'task-started' : 'task-finished',
      };
      socket.send(JSON.stringify({ header, payload: {} }));
    });
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}`,
    totals: () => ({ tasks, tasksFinished, bytes }),
    close: async () => {
      for (const socket of server.clients) socket.terminate();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
