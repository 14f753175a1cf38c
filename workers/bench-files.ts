import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { arch, cpus } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

import { decodeG711 } from '../src/audio/g711.ts';
import { type FilesBenchOptions, filesLine, type FilesReport, filesResult } from '../src/bench/files.ts';
import { readAudioFile } from '../src/caller/audio-file.ts';
import { silentLogger as logger } from '../src/log.ts';
import { waveHeader } from '../src/recording/wave-header.ts';
import { samplePaths } from '../src/sample/sample.ts';
import { captionsRecogniser } from '../src/sandbox/captions-recogniser.ts';
import { startSandbox } from '../src/sandbox/server.ts';
import { transcribeFile } from '../src/transcribe/transcribe-file.ts';
import type { BenchProcess, Duties } from './bench-process.ts';

interface FileOrder {
  readonly url: string;
  readonly path: string;
  readonly format: string;
}

/** Of the working directory: temporary directories are in memory on some machines. */
const DIRECTORY = '.data';
const SAMPLE_RATE_HZ = 8_000;
/** Left and right, 16 bits each. */
const FRAME_BYTES = 4;
const SPEED = 1_000;

/** `npm run bench -- files`: a long stereo file, as WAV and, where ffmpeg is, as FLAC; the last line is one JSON object. */
export async function benchFiles(
  options: FilesBenchOptions,
  start: (name: string) => BenchProcess,
  print: (line: string) => void,
): Promise<void> {
  print(`${options.minutes} minutes, stereo; ${cpus().length} × ${cpus()[0]?.model ?? arch()}`);
  await mkdir(DIRECTORY, { recursive: true });
  const directory = await mkdtemp(join(DIRECTORY, 'bench-files-'));
  try {
    using recogniser = start('recogniser');
    const url = await recogniser.ask<string>('files-recogniser');
    const wav = join(directory, 'call.wav');
    await writeLongWav(wav, options.minutes);
    const reports: FilesReport[] = [];
    for (const [format, path] of [
      ['WAV', wav],
      ['FLAC', await toFlac(wav, join(directory, 'call.flac'))],
    ] as const) {
      if (path === undefined) {
        print(`${format}: ffmpeg is not installed`);
        continue;
      }
      using reader = start('reader');
      reports.push(
        await reader.ask<FilesReport>('files-transcribe', { url, path, format } satisfies FileOrder),
      );
      print(filesLine(reports.at(-1)!));
    }
    print(JSON.stringify(filesResult(options, reports)));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export const filesDuties: Duties = {
  'files-recogniser': async () =>
    (await startSandbox({ host: '127.0.0.1', port: 0, recogniser: captionsRecogniser, logger })).url,
  'files-transcribe': transcribe,
};

async function transcribe({ url, path, format }: FileOrder): Promise<FilesReport> {
  const rssBytes = [process.memoryUsage.rss()];
  const begunMs = performance.now();
  const cpuBefore = process.cpuUsage();
  let tenths = 0;
  const { legs } = await transcribeFile(path, {
    service: { url, apiKey: 'bench' },
    model: undefined,
    vocabularyId: undefined,
    rawRateHz: SAMPLE_RATE_HZ,
    speed: SPEED,
    signal: new AbortController().signal,
    onProgress: (share) => {
      if (share * 10 < tenths + 1) return;
      tenths = Math.floor(share * 10);
      rssBytes.push(process.memoryUsage.rss());
    },
  });
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    format,
    fileBytes: (await stat(path)).size,
    sentences: legs.reduce((sum, { sentences }) => sum + sentences.length, 0),
    tookMs: Math.round(performance.now() - begunMs),
    cpuMs: Math.round((user + system) / 1_000),
    rssBytes,
  };
}

/** The sample call over and over: agent left, customer right. */
async function writeLongWav(path: string, minutes: number): Promise<void> {
  const [left, right] = await Promise.all([samplesOf(samplePaths.agent), samplesOf(samplePaths.customer)]);
  const frames = Math.min(left.length, right.length);
  const block = Buffer.alloc(frames * FRAME_BYTES);
  for (let no = 0; no < frames; no += 1) {
    block.writeInt16LE(left[no]!, no * 4);
    block.writeInt16LE(right[no]!, no * 4 + 2);
  }
  const allFrames = minutes * 60 * SAMPLE_RATE_HZ;
  const bytes = allFrames * FRAME_BYTES;
  function* pieces(): Generator<Buffer> {
    yield waveHeader({ channels: 2, samples: allFrames });
    for (let leftBytes = bytes; leftBytes > 0; leftBytes -= block.length) yield block.subarray(0, leftBytes);
  }
  await pipeline(Readable.from(pieces()), createWriteStream(path));
}

async function samplesOf(path: string): Promise<Int16Array> {
  const [audio] = readAudioFile(path, await readFile(path));
  if (audio?.kind !== 'g711') throw new Error('the sample recordings are G.711');
  return decodeG711(audio.codec, audio.codes);
}

/** @returns undefined without ffmpeg */
async function toFlac(wav: string, path: string): Promise<string | undefined> {
  try {
    await promisify(execFile)('ffmpeg', ['-nostdin', '-loglevel', 'error', '-i', wav, path]);
    return path;
  } catch {
    return undefined;
  }
}
