import { spawn } from 'node:child_process';

export type FfmpegDecoding =
  | { readonly kind: 'decoded'; readonly samples: Int16Array }
  | { readonly kind: 'failed'; readonly found: string };

const WITHIN_MS = 30_000;
const BYTES_PER_SAMPLE = 2;

/**
 * Whatever ffmpeg reads → one channel. It gets the bytes by a pipe and may open nothing else, so that a play list in
 * place of audio leads nowhere. Never rejects; a child that takes too long is killed.
 *
 * @param samplesMax what comes beyond is not read
 */
export function decodeByFfmpeg(
  bytes: Uint8Array,
  options: { readonly command: string; readonly rateHz: number; readonly samplesMax: number },
): Promise<FfmpegDecoding> {
  const bytesMax = options.samplesMax * BYTES_PER_SAMPLE;
  return new Promise((resolve) => {
    const child = spawn(options.command, argumentsFor(options.rateHz), {
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: WITHIN_MS,
      killSignal: 'SIGKILL',
    });
    const pieces: Buffer[] = [];
    let length = 0;
    child.once('error', () => {
      resolve({ kind: 'failed', found: 'ffmpeg, which might read it, is not installed' });
    });
    // A child that ends early breaks the pipe; its close tells why.
    child.stdin.on('error', () => undefined);
    child.stdout.on('data', (piece: Buffer) => {
      pieces.push(piece);
      length += piece.length;
      if (length >= bytesMax) child.kill('SIGKILL');
    });
    child.once('close', () => {
      if (length < BYTES_PER_SAMPLE) resolve({ kind: 'failed', found: 'ffmpeg finds no audio in it' });
      else resolve({ kind: 'decoded', samples: samplesOf(Buffer.concat(pieces).subarray(0, bytesMax)) });
    });
    child.stdin.end(bytes);
  });
}

const argumentsFor = (rateHz: number): string[] => [
  ...['-hide_banner', '-nostdin', '-loglevel', 'quiet', '-threads', '1'],
  ...['-protocol_whitelist', 'pipe', '-i', 'pipe:0'],
  ...['-vn', '-ac', '1', '-ar', String(rateHz), '-f', 's16le', 'pipe:1'],
];

const samplesOf = (pcm: Buffer): Int16Array =>
  new Int16Array(
    pcm.buffer.slice(pcm.byteOffset, pcm.byteOffset + pcm.length - (pcm.length % BYTES_PER_SAMPLE)),
  );
