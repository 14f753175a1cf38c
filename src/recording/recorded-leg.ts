import { type FileHandle, open } from 'node:fs/promises';

import type { LegAudioSource } from '../asr/audio-source.ts';
import { CallscribeError } from '../errors.ts';
import { BlockIndex } from './block-index.ts';
import { decodeFileHeader, FILE_HEADER_BYTES, type LegFileHeader } from './container.ts';
import { type Mark, playFrames } from './frames.ts';
import type { Stretch } from './leg-recorder.ts';
import { type BlockSource, ReplayedAudio } from './replayed-audio.ts';
import { LegSeal } from './seal.ts';
import { StoredBlocks } from './stored-blocks.ts';

/** What was found in a leg's file; all of it was checked. */
export interface RecordedLegFacts extends LegFileHeader {
  /** One past the last sample that was kept. */
  readonly endSample: number;
  /** Whether the leg came to its end, or its process did. */
  readonly end: 'ended' | 'cut-off';
  /** Where packets were lost on the way; the audio there was made. */
  readonly lost: readonly Stretch[];
  /** Where audio came but is not in the file: the disk was full, or what was written is damaged. It reads as zero. */
  readonly missing: readonly Stretch[];
  readonly marks: readonly { readonly mark: Mark; readonly sample: number }[];
  /** Bytes that belong to no whole block: the torn end of a killed process, or damage. */
  readonly damagedBytes: number;
}

/** Of a file that is nothing but damage or marks, so many of each are kept. */
const FACTS_MAX = 10_000;

/**
 * A leg's file after its leg: read once to check every block, then as audio at any place.
 *
 *     await using leg = await RecordedLeg.open(path, { spoolKey });
 *     await leg.source.read(0, 8_000);
 */
export class RecordedLeg {
  readonly facts: RecordedLegFacts;
  readonly source: LegAudioSource;
  readonly #file: FileHandle;

  private constructor(file: FileHandle, facts: RecordedLegFacts, source: LegAudioSource) {
    this.#file = file;
    this.facts = facts;
    this.source = source;
  }

  /** @throws {CallscribeError} RECORDING_MALFORMED, RECORDING_KEY, RECORDING_STORAGE */
  static async open(path: string, options: { readonly spoolKey: Buffer | undefined }): Promise<RecordedLeg> {
    const file = await open(path, 'r').catch((error: unknown) => {
      throw new CallscribeError('RECORDING_STORAGE', 'recorded leg: its file cannot be opened', {
        cause: error,
      });
    });
    try {
      const header = await readHeader(file);
      const index = new BlockIndex();
      index.endOffset = (await file.stat()).size;
      const stored = new StoredBlocks(() => Promise.resolve(file), index, sealOf(header, options.spoolKey));
      const facts = await check(header, stored);
      return new RecordedLeg(file, facts, new ReplayedAudio(endedBlocks(stored, index, facts.endSample)));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function readHeader(file: FileHandle): Promise<LegFileHeader> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(FILE_HEADER_BYTES), 0, FILE_HEADER_BYTES, 0);
  return decodeFileHeader(buffer.subarray(0, bytesRead));
}

function sealOf({ salt }: LegFileHeader, spoolKey: Buffer | undefined): LegSeal | undefined {
  if (salt === undefined) return undefined;
  if (spoolKey !== undefined) return new LegSeal(spoolKey, salt);
  throw new CallscribeError(
    'RECORDING_KEY',
    'recorded leg: its blocks are sealed and no key is there, expected the spool.key of the data directory',
  );
}

async function check(header: LegFileHeader, stored: StoredBlocks): Promise<RecordedLegFacts> {
  const lost: Stretch[] = [];
  const missing: Stretch[] = [];
  const marks: { mark: Mark; sample: number }[] = [];
  let endSample = 0;
  let end: RecordedLegFacts['end'] = 'cut-off';
  const push = <T>(list: T[], fact: T): void => {
    if (list.length < FACTS_MAX) list.push(fact);
  };
  for await (const { beginSample, payload } of stored.all()) {
    if (beginSample > endSample) push(missing, { beginSample: endSample, endSample: beginSample });
    endSample = playFrames(payload, beginSample, Infinity, {
      audio: () => undefined,
      fill: () => undefined,
      lost: (begin, samples) => {
        push(lost, { beginSample: begin, endSample: begin + samples });
      },
      mark: (mark, sample) => {
        push(marks, { mark, sample });
      },
      end: () => {
        end = 'ended';
      },
    });
  }
  const { damagedBytes } = stored;
  return { ...header, endSample, end, lost, missing, marks, damagedBytes };
}

function endedBlocks(stored: StoredBlocks, index: BlockIndex, endSample: number): BlockSource {
  return {
    beginSample: 0,
    endSample,
    isEnded: true,
    seek: (sample) => index.sampleOf(sample),
    blockBehind: (sample) => stored.blockBehind(sample),
  };
}
