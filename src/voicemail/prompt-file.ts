import { readFile, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { decodeG711 } from '../audio/g711.ts';
import { resampled } from '../audio/resample.ts';
import { readWav, type WavAudio } from '../audio/wav.ts';
import { g711LawOf, isReadable, monoBlocks, samplesPerChannel } from '../audio/wav-samples.ts';
import { CallscribeError, systemCode } from '../errors.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import type { Prompt } from '../rtp/prompt.ts';
import { decodeByFfmpeg } from './ffmpeg.ts';
import { PROMPT_RATE_HZ, promptOfSamples } from './prompt-codes.ts';

export interface PromptFileOptions {
  /** The directory that it must lie in, links followed. */
  readonly directory: string;
  readonly maxMs: number;
  /** A path, or a name that is looked up on the PATH. */
  readonly ffmpeg: string;
}

/** Three minutes of the best that studios make, 48 kHz and two channels of 32 bits, are 69 MB. */
const FILE_BYTES_MAX = 80_000_000;
const RATE_MIN_HZ = 4_000;
const RATE_MAX_HZ = 384_000;
const CHANNELS_MAX = 32;
/** About a millisecond of work at 48 kHz: calls go on meanwhile. */
const BLOCK_SAMPLES = 2_000;

/**
 * Reads something to be played from a file: any WAV, and what ffmpeg reads where it is installed. G.711 of one channel at
 * 8 kHz stays as it is, bit for bit.
 *
 * @throws {CallscribeError} AUDIO_UNSUPPORTED, with what was found; the message does not name the file
 */
export async function readPromptFile(path: string, options: PromptFileOptions): Promise<Prompt> {
  const bytes = await readBytes(path, options.directory);
  const reading = readWav(bytes);
  switch (reading.kind) {
    case 'wav':
      return promptOfWav(reading.audio, options.maxMs);
    case 'malformed':
      throw refused(reading.found);
    case 'not-wav': {
      const decoded = await decodeByFfmpeg(bytes, {
        command: options.ffmpeg,
        rateHz: PROMPT_RATE_HZ,
        // One sample more than may be, to tell what is too long.
        samplesMax: options.maxMs * SAMPLES_PER_MS + 1,
      });
      if (decoded.kind === 'failed') throw refused(`no WAV file, and ${decoded.found}`);
      checkLength(decoded.samples.length / SAMPLES_PER_MS, options.maxMs);
      return encode(slices(decoded.samples));
    }
  }
}

const SAMPLES_PER_MS = PROMPT_RATE_HZ / 1_000;

async function readBytes(path: string, directory: string): Promise<Buffer> {
  try {
    const real = await realpath(join(directory, path));
    const within = relative(await realpath(directory), real);
    if (within === '..' || within.startsWith(`..${sep}`)) {
      throw refused('leads out of the directory of the rules');
    }
    const found = await stat(real);
    if (!found.isFile()) throw refused('is no file');
    if (found.size === 0) throw refused('the file is empty');
    if (found.size > FILE_BYTES_MAX) {
      throw refused(`${found.size} bytes, allowed are ${FILE_BYTES_MAX}`);
    }
    return await readFile(real);
  } catch (error) {
    if (error instanceof CallscribeError) throw error;
    throw refused(`cannot be read (${systemCode(error) ?? 'unknown fault'})`);
  }
}

async function promptOfWav(audio: WavAudio, maxMs: number): Promise<Prompt> {
  const { channels, sampleRateHz } = audio;
  if (channels < 1 || channels > CHANNELS_MAX) {
    throw refused(`${channels} channels, expected 1 to ${CHANNELS_MAX}`);
  }
  if (sampleRateHz < RATE_MIN_HZ || sampleRateHz > RATE_MAX_HZ) {
    throw refused(`${sampleRateHz} Hz, expected ${RATE_MIN_HZ} to ${RATE_MAX_HZ}`);
  }
  if (!isReadable(audio)) {
    throw refused(
      `format tag ${audio.formatTag} with ${audio.bitsPerSample} bits, expected PCM, floating point or G.711`,
    );
  }
  checkLength((samplesPerChannel(audio) * 1_000) / sampleRateHz, maxMs);
  const law = g711LawOf(audio);
  if (law !== undefined && channels === 1 && sampleRateHz === PROMPT_RATE_HZ) {
    const codes = new Uint8Array(audio.data);
    return { ...(await encode(decodedSlices(law, codes))), [law]: codes };
  }
  const mono = monoBlocks(audio, BLOCK_SAMPLES);
  if (sampleRateHz === PROMPT_RATE_HZ) return encode(quantised(mono));
  const rates = { fromHz: sampleRateHz, toHz: PROMPT_RATE_HZ };
  return encode(quantised(resampled(joined(await inTurns(mono)), rates, BLOCK_SAMPLES)));
}

async function encode(blocks: Iterable<Int16Array>): Promise<Prompt> {
  const parts = await inTurns(encoded(blocks));
  return {
    PCMU: Buffer.concat(parts.map(({ PCMU }) => PCMU)),
    PCMA: Buffer.concat(parts.map(({ PCMA }) => PCMA)),
  };
}

/** Others have their turn between two blocks. */
async function inTurns<Block>(blocks: Iterable<Block>): Promise<Block[]> {
  const made: Block[] = [];
  for (const block of blocks) {
    made.push(block);
    await nextTurn();
  }
  return made;
}

function joined(blocks: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(blocks.reduce((length, block) => length + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    whole.set(block, at);
    at += block.length;
  }
  return whole;
}

function* slices(samples: Int16Array): Generator<Int16Array> {
  for (let at = 0; at < samples.length; at += BLOCK_SAMPLES) yield samples.subarray(at, at + BLOCK_SAMPLES);
}

function* decodedSlices(law: G711Law, codes: Uint8Array): Generator<Int16Array> {
  for (let at = 0; at < codes.length; at += BLOCK_SAMPLES) {
    yield decodeG711(law, codes.subarray(at, at + BLOCK_SAMPLES));
  }
}

function* encoded(blocks: Iterable<Int16Array>): Generator<Prompt> {
  for (const block of blocks) yield promptOfSamples(block);
}

function* quantised(blocks: Iterable<Float32Array>): Generator<Int16Array> {
  for (const block of blocks) yield Int16Array.from(block, toInt16);
}

const toInt16 = (sample: number): number =>
  Math.max(-32_768, Math.min(32_767, Math.round((Number.isFinite(sample) ? sample : 0) * 32_768)));

function checkLength(durationMs: number, maxMs: number): void {
  if (durationMs === 0) throw refused('has no audio');
  if (durationMs > maxMs) {
    throw refused(`longer than ${maxMs / 1_000} s, which is the most that may be`);
  }
}

const refused = (found: string): CallscribeError => new CallscribeError('AUDIO_UNSUPPORTED', found);
