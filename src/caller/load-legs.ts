import { readFile } from 'node:fs/promises';

import { CallscribeError, systemCode } from '../errors.ts';
import { samplePaths } from '../sample/sample.ts';
import { AudioFileRefused, ffmpegLine, type FileAudio, readAudioFile, toG711 } from './audio-file.ts';
import type { CallMode } from './call-report.ts';
import type { G711Codec } from './g711.ts';
import type { LegSource, Party } from './leg-source.ts';
import { UsageError } from './usage-error.ts';

export interface LoadLegsOptions {
  readonly mode: CallMode;
  /** Empty means the sample call, of which `plain` plays the customer. */
  readonly files: readonly string[];
  /** For all legs, or one for each; undefined leaves the files as they are. */
  readonly codecs: readonly G711Codec[] | undefined;
  readonly parties: readonly Party[];
}

/** Who speaks in the sample call. */
export const SAMPLE_PARTIES = {
  agent: { name: '李娜', aor: 'sip:8001@callcentre.example', role: 'agent' },
  customer: { name: '王先生', aor: 'sip:+861055550123@carrier.example', role: 'customer' },
} as const satisfies Record<string, Party>;

const LEGS_MAX = 16;

/**
 * Reads the files of a call and makes its legs.
 *
 * @throws {UsageError} with every file that can't be read or sent, and how a number of legs does not fit the mode
 */
export async function loadLegs(options: LoadLegsOptions): Promise<readonly [LegSource, ...LegSource[]]> {
  const { mode, codecs, parties } = options;
  const sample = options.files.length === 0;
  const files = sample ? sampleFiles(mode) : options.files;
  const loaded = await Promise.all(files.map(loadFile));
  const faults = loaded.flatMap((result) => (result.kind === 'refused' ? [result.fault] : []));
  const channels = loaded.flatMap((result) => (result.kind === 'loaded' ? result.channels : []));
  if (faults.length === 0) faults.push(...legCountFaults(mode, files, channels.length));
  if (codecs !== undefined && codecs.length > 1 && codecs.length !== channels.length) {
    faults.push(
      `--codec: found ${codecs.length} codecs for ${channels.length} legs, expected one, or one for each`,
    );
  }
  if (parties.length > channels.length) {
    faults.push(`--party: found ${parties.length} for ${channels.length} legs`);
  }
  if (faults.length > 0) throw new UsageError(faults);

  const known: readonly Party[] = sample ? sampleParties(mode) : [];
  const [first, ...rest] = channels.map((audio, legNo): LegSource => {
    const party = parties[legNo] ?? known[legNo];
    const g711 = toG711(audio, codecs?.length === 1 ? codecs[0] : codecs?.[legNo]);
    return { ...g711, label: String(legNo + 1), ...(party === undefined ? {} : { party }) };
  });
  return [first!, ...rest];
}

function sampleFiles(mode: CallMode): string[] {
  return mode === 'plain' ? [samplePaths.customer] : [samplePaths.agent, samplePaths.customer];
}

function sampleParties(mode: CallMode): Party[] {
  return mode === 'plain' ? [SAMPLE_PARTIES.customer] : [SAMPLE_PARTIES.agent, SAMPLE_PARTIES.customer];
}

type Loaded =
  | { readonly kind: 'loaded'; readonly channels: readonly FileAudio[] }
  | { readonly kind: 'refused'; readonly fault: string };

async function loadFile(file: string): Promise<Loaded> {
  try {
    return { kind: 'loaded', channels: readAudioFile(file, await readFile(file)) };
  } catch (error) {
    if (error instanceof AudioFileRefused) return { kind: 'refused', fault: error.message };
    return { kind: 'refused', fault: `${file}: can't be read (${systemCode(error) ?? 'unknown reason'})` };
  }
}

function legCountFaults(mode: CallMode, files: readonly string[], legs: number): string[] {
  switch (mode) {
    case 'plain': {
      if (legs === 1) return [];
      const way = files.length === 1 ? `; mix them with: ${ffmpegLine(files[0]!, 'mono')}` : '';
      return [`--plain: found ${legs} legs in ${files.length} files, expected one${way}`];
    }
    case 'two-legs':
      if (legs === 2) return [];
      return [`--two-legs: found ${legs} legs in ${files.length} files, expected two, or one stereo file`];
    case 'siprec':
      if (legs <= LEGS_MAX) return [];
      return [`--siprec: found ${legs} legs, expected at most ${LEGS_MAX}`];
    default:
      throw new CallscribeError('USAGE', mode satisfies never);
  }
}
