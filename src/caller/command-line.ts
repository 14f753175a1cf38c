import { Command } from 'commander';
import { z } from 'zod';

import type { CallMode } from './call-report.ts';
import type { KeyPress } from './key-plan.ts';
import type { Party } from './leg-source.ts';
import { readSipTarget } from './sip-target.ts';
import { UsageError } from './usage-error.ts';

/** What the user asked for; the files are not read yet. */
export interface CallCommand {
  readonly mode: CallMode;
  readonly options: CallCommandOptions;
  /** Empty means the sample call. */
  readonly files: readonly string[];
}

export type CallCommandLine =
  { readonly kind: 'help'; readonly text: string } | ({ readonly kind: 'run' } & CallCommand);

const CALLS_MAX = 10_000;
/** How long a key, or the peer's BYE, may be waited for. */
const CALL_MAX_S = 3_600;
const UNTIL_BYE_S = 60;

/** `2%` or `0.02`. */
const share = z
  .string()
  .regex(/^\d+(\.\d+)?%?$/, 'expected a share such as 2% or 0.02')
  .transform((text) => (text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text)))
  .refine((rate) => rate <= 0.5, 'expected at most 50%');

const integer = (min: number, max: number): z.ZodType<number> =>
  z
    .string()
    .regex(/^\d+$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `expected a whole number from ${min} to ${max}`);

const optionsSchema = z.object({
  to: z.string().transform((text, context) => {
    const target = readSipTarget(text);
    if (target === undefined) context.addIssue('expected sip:host:port or sip:user@host:port');
    return target ?? z.NEVER;
  }),
  transport: z.enum(['udp', 'tcp'], 'expected udp or tcp'),
  codec: z
    .string()
    .transform((text) => text.toUpperCase().split(','))
    .pipe(z.array(z.enum(['PCMA', 'PCMU'], 'expected PCMA or PCMU, or one for each leg such as PCMA,PCMU')))
    .optional(),
  party: z.array(z.string().transform(readParty)).default([]),
  from: z
    .string()
    .regex(/^sips?:[^\s<>]+$/, 'expected a SIP URI')
    .optional(),
  header: z.array(z.string().regex(/^[A-Za-z0-9-]+:[ \t]*[^\r\n]+$/, 'expected Name: value')).default([]),
  ptime: z.enum(['10', '20', '30', '40', '50', '60'], 'expected 10, 20, 30, 40, 50 or 60').transform(Number),
  srtp: z
    .union([z.literal(true), z.enum(['80', '32'])], 'expected nothing, 80 or 32')
    .transform((tagBits) =>
      tagBits === '32' ? ('AES_CM_128_HMAC_SHA1_32' as const) : ('AES_CM_128_HMAC_SHA1_80' as const),
    )
    .optional(),
  srtpMixed: z.boolean().default(false),
  loss: share,
  reorder: share,
  duplicate: share,
  seed: integer(0, 2 ** 32 - 1).optional(),
  keys: z
    .string()
    .transform((text, context) => {
      const presses = readKeys(text);
      if (presses === undefined) {
        context.addIssue(`expected times to ${CALL_MAX_S} s and keys, such as 5s:# or 2s:12,8.5s:*`);
      }
      return presses ?? z.NEVER;
    })
    .default([]),
  untilBye: z
    .union([z.literal(true), integer(1, CALL_MAX_S)])
    .transform((seconds) => (seconds === true ? UNTIL_BYE_S : seconds) * 1_000)
    .optional(),
  heard: z.string('the value is missing').optional(),
  calls: integer(1, CALLS_MAX),
  rate: z
    .string()
    .regex(/^\d+(\.\d+)?$/, 'expected calls a second, such as 10 or 0.5')
    .transform(Number)
    .refine((rate) => rate > 0 && rate <= 1_000, 'expected more than 0 and at most 1000 calls a second'),
  json: z.boolean().default(false),
});

export type CallCommandOptions = z.output<typeof optionsSchema>;

const MODES: readonly CallMode[] = ['plain', 'two-legs', 'siprec'];

/**
 * Reads the arguments of `npm run call --`.
 *
 * @throws {UsageError} with every fault at once
 */
export function readCommandLine(args: readonly string[]): CallCommandLine {
  const command = defineCommand();
  if (args.includes('--help') || args.includes('-h')) {
    return { kind: 'help', text: command.helpInformation() };
  }
  const { operands, unknown } = command.parseOptions([...args]);
  const given: Record<string, unknown> = command.opts();
  const faults = unknown.filter((arg) => arg.startsWith('-')).map((arg) => `${arg}: there is no such option`);

  const modes = MODES.filter((mode) => given[mode === 'two-legs' ? 'twoLegs' : mode] === true);
  if (modes.length > 1) faults.push(`${modes.map((mode) => `--${mode}`).join(', ')}: choose one of them`);
  const parsed = optionsSchema.safeParse(given);
  if (given['srtpMixed'] === true && given['srtp'] === undefined) faults.push('--srtp-mixed: needs --srtp');
  const isHeard = given['heard'] !== undefined;
  if (isHeard && given['plain'] !== true) faults.push('--heard: needs --plain');
  if (isHeard && given['calls'] !== '1') faults.push('--heard: is of one call');
  for (const { path, message } of parsed.error?.issues ?? []) {
    const name = String(path[0]);
    const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    // commander gives `true` for an option whose value was left out.
    const value = given[name];
    const found: unknown = Array.isArray(value) ? value[Number(path[1])] : value;
    faults.push(
      found === true ? `${option}: the value is missing` : `${option}: found ${String(found)}; ${message}`,
    );
  }
  if (!parsed.success || faults.length > 0) throw new UsageError(faults);
  return { kind: 'run', mode: modes[0] ?? 'siprec', options: parsed.data, files: operands };
}

/** Values are optional for commander, since it would stop at the first that is missing. */
function defineCommand(): Command {
  return new Command('call')
    .usage('[options] [file ...]')
    .description(
      'Places SIP calls with G.711 audio from files: WAV (16-bit PCM or G.711, 8,000 Hz; stereo is two legs)\n' +
        'or raw .alaw and .ulaw. Without files it plays the sample call.',
    )
    .argument('[file...]')
    .option('--plain', 'one leg, as a telephone calls')
    .option('--two-legs', 'one INVITE with two audio lines and no metadata')
    .option('--siprec', 'a recording session: one audio line a leg, and metadata (default)')
    .option('--to [uri]', 'sip:[user@]host[:port]', 'sip:127.0.0.1:5060')
    .option('--transport [name]', 'udp or tcp', 'udp')
    .option(
      '--codec [laws]',
      'PCMA or PCMU, for all legs or one for each: PCMA,PCMU (default: as in the file)',
    )
    .option(
      '--party [who]',
      'a leg\'s participant, in the order of the legs: "agent: 李娜 <sip:8001@pbx>"',
      collect,
    )
    .option('--from [uri]', 'address of record of the caller')
    .option('--header [line]', 'a further header line of the INVITE; may be repeated', collect)
    .option('--ptime [ms]', 'packet time', '20')
    .option('--srtp [bits]', 'over SRTP, with keys by chance in the offer (SDES) and tags of 80 or 32 bits')
    .option('--srtp-mixed', 'the first leg over plain RTP all the same')
    .option('--loss [share]', 'packets that never leave', '0%')
    .option('--reorder [share]', 'packets that leave up to three packet times late', '0%')
    .option('--duplicate [share]', 'packets that leave twice', '0%')
    .option('--seed [number]', 'decides which packets; the same seed gives the same call')
    .option('--keys [list]', 'keys to press on the first leg, at times of its audio: 5s:# or 2s:12,8.5s:*')
    .option('--until-bye [seconds]', 'silence behind the audio, and the peer hangs up (default: within 60)')
    .option('--heard [file]', 'writes what comes back to a WAV file (G.711) and says how its packets came')
    .option('--calls [count]', 'how many calls', '1')
    .option('--rate [calls]', 'calls begun in a second', '10')
    .option('--json', 'one JSON object at the end, for programs')
    .configureHelp({ optionTerm: ({ flags }) => flags.replace('[', '<').replace(']', '>') })
    .exitOverride();
}

function collect(value: string | true, before: readonly (string | true)[] = []): (string | true)[] {
  return [...before, value];
}

/** @returns undefined for what is no list of keys */
function readKeys(text: string): KeyPress[] | undefined {
  const parts = text.split(',').map((part) => /^(\d+(?:\.\d+)?)s:([0-9*#A-D]+)$/.exec(part));
  const isWrong = parts.some((part) => part === null || Number(part[1]) > CALL_MAX_S);
  if (isWrong) return undefined;
  return parts.flatMap((part) => Array.from(part![2]!, (key) => ({ atMs: Number(part![1]) * 1_000, key })));
}

function readParty(text: string, context: z.RefinementCtx): Party {
  const found = /^(?:([a-z]+):)?\s*([^<>]*?)\s*<(sips?:[^\s<>]+)>$/.exec(text);
  if (found === null) {
    context.addIssue('expected "name <sip:user@host>", with a role before it such as "agent: …"');
    return z.NEVER;
  }
  return { name: found[2]!, aor: found[3]!, ...(found[1] === undefined ? {} : { role: found[1] }) };
}
