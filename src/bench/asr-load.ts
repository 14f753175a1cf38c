import { once } from 'node:events';
import process from 'node:process';

import { WebSocket } from 'ws';

import type { Clock } from '../clock.ts';
import { encodeFinishTask, encodeRunTask } from '../dashscope/client-messages.ts';
import { connect, type Connection } from '../dashscope/connection.ts';
import type { RecognitionParameters } from '../dashscope/parameters.ts';
import { RecognitionTask, TASK_LIMITS } from '../dashscope/task.ts';
import { type Percentiles, percentiles } from './percentiles.ts';
import { SlotPacer } from './slot-pacer.ts';

/** Who sends the frames: our client, or a loop over bare sockets that does nothing else. */
export type AsrSender = 'client' | 'bare';

export interface AsrLoadOptions {
  readonly sender: AsrSender;
  readonly url: string;
  readonly sessions: number;
  /** How long is measured, once all sessions are streaming. */
  readonly seconds: number;
  readonly clock: Clock;
  /** Collects garbage, so that memory is what is held; undefined where V8 does not lend it. */
  readonly collectGarbage: (() => void) | undefined;
}

export interface AsrLoadReport {
  readonly sender: AsrSender;
  readonly frames: number;
  readonly results: number;
  /** Sessions that ended otherwise than by task-finished. */
  readonly failures: number;
  /** User and system time of the process while it was measured, in microseconds a session and second. */
  readonly cpuUsPerSessionSecond: number;
  /** From `push` to the hand-over to the socket. Bare: of `send` itself. */
  readonly insideMs: Percentiles;
  /** From when the frame was due to the hand-over: what is inside, and what the event loop was busy with. */
  readonly lateMs: Percentiles;
  /** The most that one socket held back because the operating system did not take it. */
  readonly bufferedMaxBytes: number;
  /** Growth while streaming, over the same process with no session, in bytes a session. */
  readonly heapBytesPerSession: number;
  readonly rssBytesPerSession: number;
}

const FRAME_MS = 100;
/** 100 ms of 8 kHz PCM. */
const FRAME_BYTES = 1_600;
const SLOTS = 20;
const WARM_UP_SESSIONS = 20;
/** What the compiler of the machine needs to settle; both senders get it. */
const STEADY_AFTER_S = 3;
const OPENING_AT_ONCE = 50;
/** 1.6 s of audio. */
const FRAMES_INSIDE_MAX = 16;
const MODEL = 'paraformer-realtime-8k-v2';
const API_KEY = 'bench';
const PARAMETERS: RecognitionParameters & { readonly format: 'pcm' } = {
  format: 'pcm',
  sampleRate: 8_000,
  maxSentenceSilence: 800,
  multiThresholdModeEnabled: true,
  heartbeat: true,
};

/** One leg as the pacer drives it. */
interface LoadSession {
  /** @param dueMs when the frame should go */
  push(frame: Buffer, dueMs: number): void;
  finish(): Promise<void>;
}

/** What sessions write into; made beforehand, so that it does not count as theirs. */
class Figures {
  /** Off until all sessions are streaming. */
  measuring = false;
  frames = 0;
  results = 0;
  failures = 0;
  bufferedMaxBytes = 0;
  readonly insideMs: Float64Array;
  readonly lateMs: Float64Array;

  constructor(framesMax: number) {
    this.insideMs = new Float64Array(framesMax);
    this.lateMs = new Float64Array(framesMax);
  }

  /** Numbers and no object: it runs for each frame, and would be measured with it. */
  sent(dueMs: number, pushedMs: number, sentMs: number): void {
    if (!this.measuring || this.frames === this.insideMs.length) return;
    this.insideMs[this.frames] = sentMs - pushedMs;
    this.lateMs[this.frames] = sentMs - dueMs;
    this.frames += 1;
  }

  buffered(bytes: number): void {
    if (bytes > this.bufferedMaxBytes) this.bufferedMaxBytes = bytes;
  }

  result(): void {
    if (this.measuring) this.results += 1;
  }
}

/**
 * The frames of one session between push and hand-over, which come out in the order in which they went in. Both
 * senders keep it, in numbers and without an object for each frame: it would be measured with them.
 */
class FramesInside {
  readonly #figures: Figures;
  readonly #clock: Clock;
  readonly #dueMs = new Float64Array(FRAMES_INSIDE_MAX);
  readonly #pushedMs = new Float64Array(FRAMES_INSIDE_MAX);
  #pushed = 0;
  #sent = 0;

  constructor(figures: Figures, clock: Clock) {
    this.#figures = figures;
    this.#clock = clock;
  }

  push(dueMs: number): void {
    if (this.#pushed - this.#sent === FRAMES_INSIDE_MAX) {
      throw new RangeError('frames are stuck in the sender');
    }
    const at = this.#pushed % FRAMES_INSIDE_MAX;
    this.#dueMs[at] = dueMs;
    this.#pushedMs[at] = this.#clock.monotonicMs();
    this.#pushed += 1;
  }

  /** @param bufferedBytes what the socket holds back by now */
  sent(bufferedBytes: number): void {
    const at = this.#sent % FRAMES_INSIDE_MAX;
    this.#sent += 1;
    this.#figures.sent(this.#dueMs[at]!, this.#pushedMs[at]!, this.#clock.monotonicMs());
    this.#figures.buffered(bufferedBytes);
  }
}

/** Runs the sessions of one sender at real-time pace, and measures this process, which should do nothing else. */
export async function runAsrLoad(options: AsrLoadOptions): Promise<AsrLoadReport> {
  const { sender, sessions: count, seconds, collectGarbage } = options;
  await stream(options, WARM_UP_SESSIONS, 1, new Figures(WARM_UP_SESSIONS), () => Promise.resolve());
  // A second and a half as many as should come; more than that means that something is wrong, and is cut off.
  const figures = new Figures(Math.ceil((count * seconds * 1.5 * 1000) / FRAME_MS));
  await settle(collectGarbage);
  const before = process.memoryUsage();
  let held = before;
  const cpu = await stream(options, count, seconds, figures, async () => {
    await settle(collectGarbage);
    held = process.memoryUsage();
  });
  const perSession = (bytes: number): number => Math.round(bytes / count);
  return {
    sender,
    frames: figures.frames,
    results: figures.results,
    failures: figures.failures,
    cpuUsPerSessionSecond: round((cpu.user + cpu.system) / (count * (cpu.ms / 1000))),
    insideMs: percentiles(figures.insideMs.subarray(0, figures.frames)),
    lateMs: percentiles(figures.lateMs.subarray(0, figures.frames)),
    bufferedMaxBytes: figures.bufferedMaxBytes,
    heapBytesPerSession: perSession(heapBytes(held) - heapBytes(before)),
    rssBytesPerSession: perSession(held.rss - before.rss),
  };
}

interface CpuUsed {
  readonly user: number;
  readonly system: number;
  /** How long it took to use it. */
  readonly ms: number;
}

/** Opens, streams for `seconds`, looks at the memory while all are still streaming, ends. */
async function stream(
  options: AsrLoadOptions,
  count: number,
  seconds: number,
  figures: Figures,
  onHeld: () => Promise<void>,
): Promise<CpuUsed> {
  const { clock } = options;
  const open = options.sender === 'client' ? openClientSession : openBareSession;
  const slots: LoadSession[][] = Array.from({ length: SLOTS }, () => []);
  const frames = someFrames();
  let frameNo = 0;
  using pacer = SlotPacer.start({
    clock,
    intervalMs: FRAME_MS,
    slots: SLOTS,
    onSlot: (slot, dueMs) => {
      const frame = frames[(frameNo += 1) % frames.length]!;
      for (const session of slots[slot]!) session.push(frame, dueMs);
    },
  });
  const sessions: LoadSession[] = [];
  while (sessions.length < count) {
    const batch = Math.min(OPENING_AT_ONCE, count - sessions.length);
    const opened = await Promise.all(Array.from({ length: batch }, () => open(options.url, clock, figures)));
    for (const session of opened) {
      slots[sessions.length % SLOTS]!.push(session);
      sessions.push(session);
    }
  }
  await elapsed(STEADY_AFTER_S);
  figures.measuring = true;
  const beganMs = clock.monotonicMs();
  const usedBefore = process.cpuUsage();
  await elapsed(seconds);
  const used = process.cpuUsage(usedBefore);
  const ms = clock.monotonicMs() - beganMs;
  figures.measuring = false;
  await onHeld();
  pacer.stop();
  await Promise.all(sessions.map((session) => session.finish()));
  return { user: used.user, system: used.system, ms };
}

/** The task as production runs it, behind a connection that notes when each frame comes out of it. */
function openClientSession(url: string, clock: Clock, figures: Figures): Promise<LoadSession> {
  const inside = new FramesInside(figures, clock);
  return new Promise((resolve, reject) => {
    const task = RecognitionTask.start({
      model: MODEL,
      parameters: PARAMETERS,
      limits: TASK_LIMITS,
      connect: (listener) =>
        watched(connect({ url, apiKey: API_KEY }, listener), (connection) => {
          inside.sent(connection.bufferedBytes);
        }),
      listener: {
        onStarted: () => {
          resolve({
            push: (frame, dueMs) => {
              inside.push(dueMs);
              task.push(frame);
            },
            finish: () => task.finish(),
          });
        },
        onResult: () => {
          figures.result();
        },
        onEnd: (error) => {
          if (error === undefined) return;
          figures.failures += 1;
          // Before the start nobody else would hear of it; after it, this changes nothing.
          reject(error);
        },
      },
    });
  });
}

/** Only told apart by what it notes: everything else of the connection is as it was. */
function watched(connection: Connection, onSent: (connection: Connection) => void): Connection {
  const send = connection.sendAudio.bind(connection);
  connection.sendAudio = (frame) => {
    send(frame);
    onSent(connection);
  };
  return connection;
}

/** The same bytes on a socket of the same library, and whatever comes back is dropped. */
async function openBareSession(url: string, clock: Clock, figures: Figures): Promise<LoadSession> {
  const socket = new WebSocket(url, {
    headers: { Authorization: `Bearer ${API_KEY}` },
    perMessageDeflate: false,
  });
  await once(socket, 'open');
  const taskId = crypto.randomUUID().replaceAll('-', '');
  socket.send(encodeRunTask({ taskId, model: MODEL, parameters: PARAMETERS }));
  await once(socket, 'message');
  const inside = new FramesInside(figures, clock);
  let finishing = false;
  let onFinished: (() => void) | undefined;
  socket.on('message', (data: Buffer) => {
    figures.result();
    // One listener for all messages: the last result and task-finished may come in one turn.
    if (finishing && data.includes('task-finished')) onFinished?.();
  });
  socket.on('close', () => {
    if (!finishing) figures.failures += 1;
  });
  return {
    push: (frame, dueMs) => {
      inside.push(dueMs);
      socket.send(frame, ignoreSendError);
      inside.sent(socket.bufferedAmount);
    },
    finish: async () => {
      finishing = true;
      const finished = new Promise<void>((resolve) => (onFinished = resolve));
      socket.send(encodeFinishTask(taskId), ignoreSendError);
      await finished;
      socket.close(1000);
      await once(socket, 'close');
    },
  };
}

/** Ten seconds of something that is not silence. */
function someFrames(): readonly Buffer[] {
  return Array.from({ length: 100 }, (_, frameNo) => {
    const frame = Buffer.alloc(FRAME_BYTES);
    for (let at = 0; at < FRAME_BYTES; at += 2) {
      frame.writeInt16LE(Math.round(3_000 * Math.sin((frameNo * 800 + at / 2) / 7)), at);
    }
    return frame;
  });
}

function heapBytes(usage: NodeJS.MemoryUsage): number {
  return usage.heapUsed + usage.external;
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** Twice, since what only a finaliser held goes at the second time. */
async function settle(collectGarbage: (() => void) | undefined): Promise<void> {
  for (let times = 0; times < 2; times += 1) {
    collectGarbage?.();
    await elapsed(0.05);
  }
}

function elapsed(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });
}

function ignoreSendError(): void {
  return;
}
