import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

import type { AudioDecoder, AudioFormat, DecoderListener } from './audio-decoder.ts';

/** Compressed formats → the demuxer of ffmpeg; named, so that the bytes decide nothing. */
const DEMUXERS = { mp3: 'mp3', opus: 'ogg', speex: 'ogg', aac: 'aac', amr: 'amr' } as const;
/** Bytes that wait for the child before the client is slowed down. */
const WAITING_MAX_BYTES = 1 << 20;
const CHILDREN_MAX = 32;

/** The children of one sandbox. */
export class FfmpegPool {
  /** A path, or a name that is looked up on the PATH; null: there is none. */
  readonly command: string | null;
  #running = 0;

  constructor(command: string | null) {
    this.command = command;
  }

  /** Children that run. */
  get running(): number {
    return this.#running;
  }

  /** @returns what gives the place back, once; undefined where all are taken */
  take(): (() => void) | undefined {
    if (this.#running >= CHILDREN_MAX) return undefined;
    this.#running += 1;
    let taken = true;
    return () => {
      if (taken) this.#running -= 1;
      taken = false;
    };
  }
}

/** One child process for one task, killed with it. It resamples to the rate that the task claims. */
export class FfmpegDecoder implements AudioDecoder {
  readonly #listener: DecoderListener;
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  #closed = false;
  #wroteAny = false;
  #gotAny = false;

  constructor(
    format: Exclude<AudioFormat, 'pcm' | 'wav'>,
    sampleRateHz: number,
    pool: FfmpegPool,
    listener: DecoderListener,
  ) {
    this.#listener = listener;
    const { command } = pool;
    if (command === null) {
      this.#fault(
        'UNSUPPORTED_FORMAT',
        'This sandbox was started without ffmpeg: it takes pcm and wav only.',
      );
      return;
    }
    const release = pool.take();
    if (release === undefined) {
      this.#fault('Throttling.Concurrency', `The sandbox decodes ${CHILDREN_MAX} streams already.`);
      return;
    }
    const child = spawn(command, argumentsFor(format, sampleRateHz), { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child = child;
    child.once('spawn', () => {
      if (!this.#closed) listener.onReady();
    });
    child.once('error', () => {
      release();
      this.#fault('UNSUPPORTED_FORMAT', 'ffmpeg cannot be run here: the sandbox takes pcm and wav only.');
    });
    child.once('close', () => {
      release();
      this.#onClose();
    });
    // A child that ends early breaks the pipe; its close tells why.
    child.stdin.on('error', () => undefined);
    child.stdin.on('drain', () => {
      if (!this.#closed) listener.onPressure('free');
    });
    child.stdout.on('data', (pcm: Buffer) => {
      if (this.#closed) return;
      this.#gotAny = true;
      listener.onPcm(pcm);
    });
  }

  write(bytes: Buffer): void {
    if (this.#closed || this.#child === undefined || bytes.length === 0) return;
    this.#wroteAny = true;
    this.#child.stdin.write(bytes);
    if (this.#child.stdin.writableLength > WAITING_MAX_BYTES) this.#listener.onPressure('full');
  }

  end(): void {
    if (!this.#closed) this.#child?.stdin.end();
  }

  close(): void {
    this.#closed = true;
    this.#child?.kill('SIGKILL');
  }

  #onClose(): void {
    if (this.#closed) return;
    if (this.#wroteAny && !this.#gotAny) {
      this.#fault('UNSUPPORTED_FORMAT', 'Failed to decode audio');
      return;
    }
    this.#closed = true;
    this.#listener.onEnd();
  }

  #fault(code: string, message: string): void {
    if (this.#closed) return;
    this.close();
    this.#listener.onFault({ code, message });
  }
}

function argumentsFor(format: keyof typeof DEMUXERS, sampleRateHz: number): string[] {
  const input = ['-f', DEMUXERS[format], '-i', 'pipe:0'];
  const output = [
    '-vn',
    '-ac',
    '1',
    '-ar',
    String(sampleRateHz),
    '-f',
    's16le',
    '-flush_packets',
    '1',
    'pipe:1',
  ];
  // Little is read ahead, so that results keep up with audio that comes at the pace of speech.
  // Not `-fflags nobuffer`: it drops what was read while probing (of a 6 s mp3, more than half).
  const eager = ['-probesize', '4096', '-analyzeduration', '0'];
  return ['-hide_banner', '-nostdin', '-loglevel', 'quiet', '-threads', '1', ...eager, ...input, ...output];
}
