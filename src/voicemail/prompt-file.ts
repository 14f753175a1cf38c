import { readFile, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { resampled } from '../audio/resample.ts';
import { readWav, type WavAudio } from '../audio/wav.ts';
import { g711LawOf, isReadable, monoBlocks, samplesPerChannel } from '../audio/wav-samples.ts';
import { CallscribeError, systemCode } from '../errors.ts';
import type { Prompt } from '../rtp/prompt.ts';
import { decodeByFfmpeg } from './ffmpeg.ts';
import { PROMPT_RATE_HZ, promptOfG711, promptOfSamples } from './prompt-codes.ts';

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
      return promptOfSamples(decoded.samples);
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
    return promptOfG711(law, new Uint8Array(audio.data));
  }
  const samples = await gather(monoBlocks(audio, BLOCK_SAMPLES));
  const rates = { fromHz: sampleRateHz, toHz: PROMPT_RATE_HZ };
  const isAsIs = sampleRateHz === PROMPT_RATE_HZ;
  return promptOfSamples(
    Int16Array.from(isAsIs ? samples : await gather(resampled(samples, rates, BLOCK_SAMPLES)), toInt16),
  );
}

/** Others have their turn between two blocks. */
async function gather(blocks: Iterable<Float32Array>): Promise<Float32Array> {
  const gathered: Float32Array[] = [];
  let length = 0;
  for (const block of blocks) {
    gathered.push(block);
    length += block.length;
    await nextTurn();
  }
  const whole = new Float32Array(length);
  let at = 0;
  for (const block of gathered) {
    whole.set(block, at);
    at += block.length;
  }
  return whole;
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
