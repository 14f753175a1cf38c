import { Command } from 'commander';
import { z } from 'zod';

import { CallscribeError } from '../errors.ts';
import { ASR_BENCH_DEFAULTS, type AsrBenchOptions } from './asr.ts';
import { FILES_BENCH_DEFAULTS, type FilesBenchOptions } from './files.ts';
import { INTAKE_BENCH_DEFAULTS, type IntakeBenchOptions } from './intake.ts';
import { LIVE_BENCH_DEFAULTS, type LiveBenchOptions } from './live.ts';
import { PIPELINE_BENCH_DEFAULTS, type PipelineBenchOptions } from './pipeline.ts';
import { RECORDING_BENCH_DEFAULTS, type RecordingBenchOptions } from './recording.ts';
import { SEARCH_BENCH_DEFAULTS, type SearchBenchOptions } from './search.ts';

export type BenchCommandLine =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'asr'; readonly options: AsrBenchOptions }
  | { readonly kind: 'files'; readonly options: FilesBenchOptions }
  | { readonly kind: 'intake'; readonly options: IntakeBenchOptions }
  | { readonly kind: 'live'; readonly options: LiveBenchOptions }
  | { readonly kind: 'pipeline'; readonly options: PipelineBenchOptions }
  | { readonly kind: 'recording'; readonly options: RecordingBenchOptions }
  | { readonly kind: 'search'; readonly options: SearchBenchOptions };

const NAMES = ['asr', 'files', 'intake', 'live', 'pipeline', 'recording', 'search'] as const;

const integer = (min: number, max: number): z.ZodType<number> =>
  z
    .string(`expected a whole number from ${min} to ${max}`)
    .regex(/^\d{1,9}$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `expected a whole number from ${min} to ${max}`);

const common = {
  seconds: integer(1, 600),
  rounds: integer(1, 20),
  results: z.enum(['speech', 'none'], 'expected speech or none'),
};
const SCHEMAS = {
  asr: z.object({ sessions: integer(1, 5_000), ...common }),
  files: z.object({ minutes: integer(1, 600) }),
  intake: z.object({
    legs: integer(1, 4_000).refine((legs) => legs === 1 || legs % 2 === 0, 'expected an even number, or 1'),
    processes: integer(1, 8),
    ...common,
  }),
  live: z.object({
    legs: integer(2, 4_000).refine((legs) => legs % 2 === 0, 'expected an even number'),
    subscribers: integer(1, 2_000),
    seconds: common.seconds,
  }),
  pipeline: z.object({
    rate: integer(1, 10_000),
    seconds: common.seconds,
    sentences: integer(1_000, 1_000_000),
  }),
  recording: z.object({
    legs: integer(1, 10_000),
    seconds: common.seconds,
    rounds: common.rounds,
  }),
  search: z.object({ sentences: integer(10_000, 50_000_000), seed: integer(1, 1_000_000) }),
} as const;

/**
 * Reads the arguments of `npm run bench --`.
 *
 * @throws {CallscribeError} `USAGE` with every fault at once
 */
export function readBenchCommandLine(args: readonly string[]): BenchCommandLine {
  const command = defineCommand();
  if (args.includes('--help') || args.includes('-h')) {
    return { kind: 'help', text: command.helpInformation() };
  }
  const { operands, unknown } = command.parseOptions([...args]);
  const faults = unknown.filter((arg) => arg.startsWith('-')).map((arg) => `${arg}: there is no such option`);
  const names = operands.join(' ');
  const name = NAMES.find((known) => known === names);
  if (name === undefined) {
    const found = names === '' ? 'none' : names;
    faults.unshift(`which bench? found ${found}; there are: ${NAMES.join(', ')}`);
  }
  const given: Record<string, unknown> = command.opts();
  const schema = SCHEMAS[name ?? 'asr'];
  const foreign = Object.keys(given).filter((option) => !(option in schema.shape));
  if (name !== undefined) faults.push(...foreign.map((option) => `--${option}: is not for ${name}`));
  const values = { ...DEFAULTS[name ?? 'asr'], ...given };
  const parsed = schema.safeParse(values);
  for (const { path, message } of parsed.error?.issues ?? []) {
    const option = String(path[0]);
    const found =
      given[option] === true ? 'the value is missing' : `found ${String(given[option])}; ${message}`;
    faults.push(`--${option}: ${found}`);
  }
  if (!parsed.success || faults.length > 0) throw new CallscribeError('USAGE', faults.join('\n'));
  return { kind: name, options: parsed.data } as BenchCommandLine;
}

/** As the user would write them. */
const DEFAULTS = {
  asr: asTexts(ASR_BENCH_DEFAULTS),
  files: asTexts(FILES_BENCH_DEFAULTS),
  intake: asTexts(INTAKE_BENCH_DEFAULTS),
  live: asTexts(LIVE_BENCH_DEFAULTS),
  pipeline: asTexts(PIPELINE_BENCH_DEFAULTS),
  recording: asTexts(RECORDING_BENCH_DEFAULTS),
  search: asTexts(SEARCH_BENCH_DEFAULTS),
} as const;

function asTexts(options: object): Record<string, string> {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, String(value)]));
}

/** Values are optional for commander, since it would stop at the first that is missing. */
function defineCommand(): Command {
  const { asr, intake } = DEFAULTS;
  const both = (option: 'seconds' | 'rounds' | 'results'): string =>
    asr[option] === intake[option]
      ? `(default: ${asr[option]})`
      : `(default: ${asr[option]}; intake: ${intake[option]})`;
  return new Command('bench')
    .usage('<name> [options]')
    .description(
      'Measures on this machine; the last line is one JSON object.\n' +
        '  asr     recognition sessions at real-time pace against a sandbox in another process,\n' +
        '          beside a loop over bare sockets that sends the same frames\n' +
        '  files   a long stereo file, recognised by a sandbox in another process: how fast, and the memory on the way\n' +
        '  intake  calls with RTP from another process, through the whole intake into recognition sessions\n' +
        '          at a third, beside a bare forwarder of the same datagrams\n' +
        '  live    events of recognisers to subscribers’ sockets, through the bus and the api role, on Redis and on\n' +
        '          Postgres: the delay of partial and final sentences, and finals that were lost\n' +
        '  pipeline  final sentences by outbox and queue into rows, on Redis and on Postgres: the delay at a steady rate,\n' +
        '          and how fast what waited is stored after an outage, beside bare batched INSERTs\n' +
        '  recording  legs whose audio is written to disk, below .data of the working directory, plain and sealed,\n' +
        '          beside the bare sequential write of the same bytes\n' +
        '  search  words, phrases and filters over made sentences, with the cost of the index, beside LIKE and pg_trgm',
    )
    .argument('<name>')
    .option('--minutes [count]', `files: how long the file is (default: ${FILES_BENCH_DEFAULTS.minutes})`)
    .option('--sessions [count]', `asr: sessions at a time (default: ${asr['sessions']})`)
    .option(
      '--legs [count]',
      `legs at a time, two a call (default: ${intake['legs']}; live: ${LIVE_BENCH_DEFAULTS.legs}; recording: ${RECORDING_BENCH_DEFAULTS.legs})`,
    )
    .option(
      '--processes [count]',
      `intake: more than one compares so many intake processes, each with its legs, with one (default: ${intake['processes']})`,
    )
    .option('--seconds [count]', `how long is measured ${both('seconds')}`)
    .option('--rounds [count]', `how often; the round with the least CPU counts ${both('rounds')}`)
    .option(
      '--subscribers [count]',
      `live: streams that are open (default: ${LIVE_BENCH_DEFAULTS.subscribers})`,
    )
    .option('--rate [count]', `pipeline: sentences a second (default: ${PIPELINE_BENCH_DEFAULTS.rate})`)
    .option(
      '--sentences [count]',
      `pipeline: sentences that wait after the outage (default: ${PIPELINE_BENCH_DEFAULTS.sentences}); ` +
        `search: in the table (default: ${SEARCH_BENCH_DEFAULTS.sentences})`,
    )
    .option('--seed [number]', `search: of the sentences (default: ${SEARCH_BENCH_DEFAULTS.seed})`)
    .option(
      '--results [kind]',
      `speech: as for somebody who speaks half of the time; none: frames only ${both('results')}`,
    )
    .configureHelp({ optionTerm: ({ flags }) => flags.replace('[', '<').replace(']', '>') })
    .exitOverride();
}
