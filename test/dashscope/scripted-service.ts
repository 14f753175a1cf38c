import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

import { type WebSocket, WebSocketServer } from 'ws';

import { liveTimers } from '../support/live-timers.ts';

/** One frame of the client, as the service saw it. */
export type ClientFrame =
  | { readonly kind: 'run-task'; readonly taskId: string; readonly message: Record<string, unknown> }
  | { readonly kind: 'finish-task'; readonly taskId: string; readonly message: Record<string, unknown> }
  | { readonly kind: 'audio'; readonly bytes: Buffer };

/** What a script may do on its socket. */
export interface ServiceSocket {
  /** From 1, in order of connecting. */
  readonly no: number;
  readonly frames: ClientFrame[];
  /** Of the upgrade. */
  readonly headers: IncomingHttpHeaders;
  started(taskId: string): void;
  result(taskId: string, sentence: object, usage?: object | null): void;
  finished(taskId: string): void;
  failed(taskId: string, code: string, message?: string): void;
  text(text: string): void;
  close(code?: number, reason?: string): void;
  /** Without a close frame. */
  cut(): void;
  pause(): void;
  resume(): void;
}

export type Script = (frame: ClientFrame, socket: ServiceSocket) => void;

/** Answers every frame as a service in good health does, with one final per task. */
export const goodService: Script = (frame, socket) => {
  if (frame.kind === 'run-task') socket.started(frame.taskId);
  else if (frame.kind === 'finish-task') {
    socket.result(frame.taskId, FINAL, { duration: 2 });
    socket.finished(frame.taskId);
  }
};

export const FINAL = {
  sentence_id: 1,
  begin_time: 100,
  end_time: 900,
  text: '您好。',
  sentence_end: true,
  emo_tag: 'neutral',
  emo_confidence: 0.9,
  words: [{ begin_time: 100, end_time: 900, text: '您好', punctuation: '。' }],
};
export const PARTIAL = { sentence_id: 1, begin_time: 100, end_time: null, text: '您', words: [] };

/** A WebSocket server on loopback that does what a script says, and keeps what it was sent. */
export class ScriptedService implements AsyncDisposable {
  readonly sockets: (ServiceSocket & { readonly open: boolean })[] = [];
  readonly #server: WebSocketServer;

  private constructor(script: Script, refuse: ((no: number) => number | undefined) | undefined) {
    let asked = 0;
    this.#server = new WebSocketServer({
      host: '127.0.0.1',
      port: 0,
      perMessageDeflate: false,
      verifyClient: (_info, done) => {
        asked += 1;
        const status = refuse?.(asked);
        if (status === undefined) done(true);
        else done(false, status, JSON.stringify({ code: 'InvalidApiKey', message: '', request_id: 'r-1' }));
      },
    });
    this.#server.on('connection', (socket, request) => {
      this.#serve(socket, script, request.headers);
    });
  }

  static async start(
    script: Script = goodService,
    refuse?: (no: number) => number | undefined,
  ): Promise<ScriptedService> {
    const service = new ScriptedService(script, refuse);
    await new Promise((resolve) => service.#server.once('listening', resolve));
    return service;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api-ws/v1/inference`;
  }

  /** Of all sockets, in order of the sockets. */
  get frames(): ClientFrame[] {
    return this.sockets.flatMap((socket) => socket.frames);
  }

  get openSockets(): number {
    return this.sockets.filter((socket) => socket.open).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#server.clients) client.terminate();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #serve(socket: WebSocket, script: Script, headers: IncomingHttpHeaders): void {
    const send = (event: string, taskId: string, payload: object, more: object = {}): void => {
      socket.send(JSON.stringify({ header: { task_id: taskId, event, attributes: {}, ...more }, payload }));
    };
    const service = {
      no: this.sockets.length + 1,
      frames: [] as ClientFrame[],
      headers,
      get open() {
        return socket.readyState === socket.OPEN;
      },
      started: (taskId: string) => {
        send('task-started', taskId, {});
      },
      result: (taskId: string, sentence: object, usage: object | null = null) => {
        send('result-generated', taskId, { output: { sentence }, usage });
      },
      finished: (taskId: string) => {
        send('task-finished', taskId, { output: {}, usage: null });
      },
      failed: (taskId: string, code: string, message = '') => {
        send('task-failed', taskId, {}, { error_code: code, error_message: message });
        socket.close(1000);
      },
      text: (text: string) => {
        socket.send(text);
      },
      close: (code?: number, reason?: string) => {
        socket.close(code, reason);
      },
      cut: () => {
        socket.terminate();
      },
      pause: () => {
        socket.pause();
      },
      resume: () => {
        socket.resume();
      },
    };
    this.sockets.push(service);
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => {
      const frame = decode(data as Buffer, isBinary);
      service.frames.push(frame);
      script(frame, service);
    });
  }
}

function decode(data: Buffer, isBinary: boolean): ClientFrame {
  if (isBinary) return { kind: 'audio', bytes: data };
  const message = JSON.parse(data.toString('utf8')) as {
    header: { action: 'run-task' | 'finish-task'; task_id: string };
  };
  const { action, task_id: taskId } = message.header;
  return { kind: action, taskId, message };
}

/** What is open, once closed handles had the turns of the loop that they take to go. */
export async function openResources(): Promise<{ timers: number; sockets: number }> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  const resources = process.getActiveResourcesInfo();
  return {
    timers: liveTimers(),
    sockets: resources.filter((resource) => resource.startsWith('TCPSocket')).length,
  };
}
