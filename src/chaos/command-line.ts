import { Command } from 'commander';
import { z } from 'zod';

import { CallscribeError } from '../errors.ts';
import { ALL_KINDS, CHAOS_KINDS, type ChaosKind, KIND_TEXTS } from './kinds.ts';

export interface ChaosOptions {
  /** One, or all in turn. */
  readonly kinds: readonly ChaosKind[];
  /** Said and heard to their end, of each kind. */
  readonly sentences: number;
  /** Legs at a time, two a call. */
  readonly legs: number;
  readonly sentencesPerLeg: number;
  /** How long the times between harms are, of what they are by default. */
  readonly pace: number;
  readonly seed: number;
  readonly queue: 'redis' | 'postgres';
  /** Leaves data and logs where they are. */
  readonly keep: boolean;
}

export type ChaosCommandLine =
  { readonly kind: 'help'; readonly text: string } | { readonly kind: 'run'; readonly options: ChaosOptions };

const integer = (min: number, max: number): z.ZodType<number> =>
  z.coerce
    .number(`expected a whole number from ${min} to ${max}`)
    .int(`expected a whole number from ${min} to ${max}`)
    .min(min, `expected a whole number from ${min} to ${max}`)
    .max(max, `expected a whole number from ${min} to ${max}`);

const SCHEMA = z.object({
  sentences: integer(1, 1_000_000),
  legs: integer(2, 2_000).refine((legs) => legs % 2 === 0, 'expected an even number, two legs a call'),
  sentencesPerLeg: integer(1, 1_000),
  pace: z.coerce.number('expected 0.1 to 10').min(0.1, 'expected 0.1 to 10').max(10, 'expected 0.1 to 10'),
  seed: integer(0, 2 ** 32 - 1),
  queue: z.enum(['redis', 'postgres'], 'expected redis or postgres'),
  keep: z.boolean(),
});

/**
 * Reads the arguments of `npm run chaos --`.
 *
 * @param seed for a run that names none
 * @throws {CallscribeError} `USAGE` with every fault at once
 */
export function readChaosCommandLine(args: readonly string[], seed: number): ChaosCommandLine {
  const command = defineCommand(seed);
  if (args.includes('--help') || args.includes('-h')) {
    return { kind: 'help', text: command.helpInformation() };
  }
  const { operands, unknown } = command.parseOptions([...args]);
  const faults = unknown.map((arg) => `${arg}: there is no such option`);
  const name = operands.join(' ');
  const kind = CHAOS_KINDS.find((known) => known === name);
  if (kind === undefined && name !== 'all') {
    faults.unshift(
      `which kind? found ${name === '' ? 'none' : name}; there are: ${CHAOS_KINDS.join(', ')}, all`,
    );
  }
  const parsed = SCHEMA.safeParse({ seed, ...command.opts() });
  for (const { path, message } of parsed.error?.issues ?? []) faults.push(`--${String(path[0])}: ${message}`);
  if (!parsed.success || faults.length > 0) throw new CallscribeError('USAGE', faults.join('\n'));
  return { kind: 'run', options: { ...parsed.data, kinds: kind === undefined ? ALL_KINDS : [kind] } };
}

function defineCommand(seed: number): Command {
  const kinds = CHAOS_KINDS.map((kind) => `  ${kind.padEnd(17)} ${KIND_TEXTS[kind]}`);
  return new Command('chaos')
    .usage('<kind> [options]')
    .description(
      'Places calls whose audio says what is said in it, does harm to the service meanwhile, and compares what\n' +
        'was said with what was stored. Every process is started here and ended again. The last line is one JSON\n' +
        `object; exit code 1 where anything is missing, doubled or wrong in time.\n${kinds.join('\n')}\n` +
        `  ${'all'.padEnd(17)} all of them in turn`,
    )
    .argument('<kind>')
    .option('--sentences <count>', 'of each kind, heard to their end', '1000')
    .option('--legs <count>', 'at a time, two a call', '60')
    .option('--sentences-per-leg <count>', 'how long the calls are: about 2.2 s each', '8')
    .option('--pace <factor>', 'of the times between harms; 0.5: twice as often', '1')
    .option('--seed <number>', `decides what is said and when harm is done (default: by chance, now ${seed})`)
    .option('--queue <backend>', 'redis or postgres', 'redis')
    .option('--keep', 'leaves data and logs where they are', false)
    .exitOverride();
}
