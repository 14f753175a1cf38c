import { Command } from 'commander';
import { z } from 'zod';

import { CallscribeError } from '../errors.ts';
import { TRANSCRIPT_FORMATS } from './formats.ts';

export type TranscribeCommandLine =
  | { readonly kind: 'help'; readonly text: string }
  | {
      readonly kind: 'run';
      /** Files and directories. */
      readonly paths: readonly string[];
      readonly options: TranscribeCommandOptions;
    };

const number = (min: number, max: number): z.ZodType<number> =>
  z
    .string(`expected a number from ${min} to ${max}`)
    .regex(/^\d{1,9}(\.\d{1,3})?$/, `expected a number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `expected a number from ${min} to ${max}`);

const optionsSchema = z.object({
  format: z.enum(TRANSCRIPT_FORMATS, `expected ${TRANSCRIPT_FORMATS.join(', ')}`),
  output: z.string('expected a directory').min(1, 'expected a directory').optional(),
  store: z.boolean().default(false),
  model: z.string('expected the name of a model').min(1).optional(),
  rate: number(1_000, 192_000),
  speed: number(0.1, 1_000),
});
export type TranscribeCommandOptions = z.output<typeof optionsSchema>;

/**
 * Reads the arguments of `npm run transcribe --`.
 *
 * @throws {CallscribeError} `USAGE` with every fault at once
 */
export function readTranscribeCommandLine(args: readonly string[]): TranscribeCommandLine {
  const command = defineCommand();
  if (args.includes('--help') || args.includes('-h')) {
    return { kind: 'help', text: command.helpInformation() };
  }
  const { operands, unknown } = command.parseOptions([...args]);
  const faults = unknown.filter((arg) => arg.startsWith('-')).map((arg) => `${arg}: there is no such option`);
  if (operands.length === 0) faults.unshift('which file? name audio files or directories');
  const given: Record<string, unknown> = command.opts();
  const parsed = optionsSchema.safeParse(given);
  for (const { path, message } of parsed.error?.issues ?? []) {
    const name = String(path[0]);
    // commander gives `true` for an option whose value was left out.
    const found = given[name] === true ? 'the value is missing' : `found ${String(given[name])}; ${message}`;
    faults.push(`--${name}: ${found}`);
  }
  if (!parsed.success || faults.length > 0) throw new CallscribeError('USAGE', faults.join('\n'));
  return { kind: 'run', paths: operands, options: parsed.data };
}

/** Values are optional for commander, since it would stop at the first that is missing. */
function defineCommand(): Command {
  return new Command('transcribe')
    .usage('[options] <file or directory ...>')
    .description(
      'Recognises recorded files: wav, mp3, opus, speex, aac, amr, raw .pcm, .alaw and .ulaw, and directories ' +
        'of them; where ffmpeg is installed, what that reads. Two channels are two legs. Without DASHSCOPE_API_KEY the sandbox stands in for the service.',
    )
    .argument('<paths...>')
    .option('--format [name]', TRANSCRIPT_FORMATS.join(', '), 'txt')
    .option('--output [directory]', 'a file for each recording there (default: standard output)')
    .option('--store', 'into the tables, as a call of one leg a channel')
    .option('--model [name]', 'default: by the sample rate of the file')
    .option('--rate [hz]', 'sample rate of files without a header', '8000')
    .option('--speed [times]', 'seconds of audio sent in a second', '8')
    .configureHelp({ optionTerm: ({ flags }) => flags.replace('[', '<').replace(']', '>') })
    .exitOverride();
}
