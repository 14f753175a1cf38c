import { Command } from 'commander';
import { z } from 'zod';

import { CallscribeError } from '../errors.ts';
import { ASR_BENCH_DEFAULTS, type AsrBenchOptions } from './asr.ts';

export type BenchCommandLine =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'asr'; readonly options: AsrBenchOptions };

const integer = (min: number, max: number): z.ZodType<number> =>
  z
    .string(`expected a whole number from ${min} to ${max}`)
    .regex(/^\d{1,9}$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `expected a whole number from ${min} to ${max}`);

const optionsSchema = z.object({
  sessions: integer(1, 5_000),
  seconds: integer(1, 600),
  rounds: integer(1, 20),
  results: z.enum(['speech', 'none'], 'expected speech or none'),
});

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
  if (names !== 'asr') faults.unshift(`which bench? found ${names === '' ? 'none' : names}; there is: asr`);
  const given: Record<string, unknown> = command.opts();
  const parsed = optionsSchema.safeParse(given);
  for (const { path, message } of parsed.error?.issues ?? []) {
    const name = String(path[0]);
    faults.push(
      `--${name}: ${given[name] === true ? 'the value is missing' : `found ${String(given[name])}; ${message}`}`,
    );
  }
  if (!parsed.success || faults.length > 0) throw new CallscribeError('USAGE', faults.join('\n'));
  return { kind: 'asr', options: parsed.data };
}

/** Values are optional for commander, since it would stop at the first that is missing. */
function defineCommand(): Command {
  const { sessions, seconds, rounds, results } = ASR_BENCH_DEFAULTS;
  return new Command('bench')
    .usage('<name> [options]')
    .description(
      'Measures on this machine; the last line is one JSON object.\n' +
        '  asr   recognition sessions at real-time pace against a sandbox in another process,\n' +
        '        beside a loop over bare sockets that sends the same frames',
    )
    .argument('<name>')
    .option('--sessions [count]', 'sessions at a time', String(sessions))
    .option('--seconds [count]', 'how long is measured', String(seconds))
    .option('--rounds [count]', 'how often; the round with the least CPU counts', String(rounds))
    .option(
      '--results [kind]',
      'speech: as for somebody who speaks half of the time; none: frames only',
      results,
    )
    .configureHelp({ optionTerm: ({ flags }) => flags.replace('[', '<').replace(']', '>') })
    .exitOverride();
}
