import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';

import { systemCode } from '../errors.ts';
import { HEADER_BYTES, id3Bytes } from './audio-header.ts';
import { DashScopeUsageError } from './errors.ts';

/** A path, or the file's bytes in pieces of any size (a Readable is one). */
export type AudioFile = string | URL | AsyncIterable<Uint8Array>;

/** A recorded file, opened far enough to look at its header. */
export interface AudioSource {
  /** The first bytes; of an MP3 file on disk those behind its tag are added. */
  readonly head: Buffer;
  /** Undefined for a stream. */
  readonly totalBytes: number | undefined;
  /** All of it, from the first byte, once. */
  readonly pieces: AsyncIterable<Uint8Array>;
  /** Lets go of a stream that is not read to its end. */
  close(): Promise<void>;
}

/** Read at a time: about 1 s of 8 kHz PCM. */
const PIECE_BYTES = 16_384;

/** @throws {DashScopeUsageError} when there is no such file, it is a directory, cannot be read, or is empty */
export async function openAudioSource(file: AudioFile): Promise<AudioSource> {
  const source =
    typeof file === 'string' || file instanceof URL ? await fileSource(file) : await streamSource(file);
  if (source.head.length === 0) throw new DashScopeUsageError('the audio file is empty');
  return source;
}

async function fileSource(path: string | URL): Promise<AudioSource> {
  try {
    const stats = await stat(path);
    if (stats.isDirectory()) throw new DashScopeUsageError('the audio file is a directory');
    const totalBytes = stats.isFile() ? stats.size : undefined;
    return {
      head: await fileHead(path),
      totalBytes,
      pieces: createReadStreamLater(path),
      // Whoever stops reading closes the file.
      close: () => Promise.resolve(),
    };
  } catch (thrown) {
    if (thrown instanceof DashScopeUsageError) throw thrown;
    // The path stays out of the message: it may name a person.
    const text = `the audio file cannot be read (${systemCode(thrown) ?? 'unknown fault'})`;
    throw new DashScopeUsageError(text);
  }
}

async function fileHead(path: string | URL): Promise<Buffer> {
  const file = await open(path);
  try {
    const read = async (position: number): Promise<Buffer> => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, position);
      return buffer.subarray(0, bytesRead);
    };
    const head = await read(0);
    const tagBytes = id3Bytes(head);
    // Cover pictures make tags longer than what is looked at: what follows the tag is what counts.
    return tagBytes + 4 <= head.length ? head : await read(tagBytes);
  } finally {
    await file.close();
  }
}

/** The file is opened when it is read, so that nothing is left open where it never is. */
async function* createReadStreamLater(path: string | URL): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Buffer>;
}

async function streamSource(stream: AsyncIterable<Uint8Array>): Promise<AudioSource> {
  const iterator = stream[Symbol.asyncIterator]();
  const seen: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < HEADER_BYTES) {
    const next: IteratorResult<unknown, unknown> = await iterator.next();
    if (next.done === true) break;
    const { value } = next;
    if (!(value instanceof Uint8Array)) {
      await iterator.return?.();
      throw new DashScopeUsageError('the audio stream gives something other than bytes');
    }
    seen.push(value);
    bytes += value.length;
  }
  return {
    head: Buffer.concat(seen),
    totalBytes: undefined,
    pieces: replay(seen, iterator),
    close: async () => {
      await iterator.return?.();
    },
  };
}

async function* replay(
  seen: Uint8Array[],
  iterator: AsyncIterator<Uint8Array, unknown>,
): AsyncGenerator<Uint8Array> {
  for (let piece = seen.shift(); piece !== undefined; piece = seen.shift()) yield piece;
  for (;;) {
    const { done, value } = await iterator.next();
    if (done === true) return;
    yield value;
  }
}
