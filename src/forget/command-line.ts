import { Command } from 'commander';

import { CallscribeError } from '../errors.ts';
import { type CallId, isUuid, toCallId } from '../ids.ts';

/** Fewer digits could be an extension that many calls share. */
export const NUMBER_DIGITS_MIN = 4;

export type ForgetCommandLine =
  | { readonly kind: 'help'; readonly text: string }
  | {
      readonly kind: 'run';
      /** Digits only. */
      readonly numbers: readonly string[];
      readonly callIds: readonly CallId[];
      readonly isDryRun: boolean;
    };

/**
 * Reads the arguments of `npm run forget --`.
 *
 * @throws {CallscribeError} `USAGE` with every fault at once
 */
export function readForgetCommandLine(args: readonly string[]): ForgetCommandLine {
  const command = new Command('forget')
    .usage('[options]')
    .description(
      'Deletes all of a person’s calls, found by number, or single calls: rows, recordings, what is on its way. ' +
        'Then looks whether anything is left.',
    )
    .option(
      '--number [number...]',
      'calls in which this number stands; also where a prefix that is not given here comes before',
    )
    .option('--call [id...]', 'the call of this id')
    .option('--dry-run', 'only say what would be deleted')
    .configureHelp({ optionTerm: ({ flags }) => flags.replace('[', '<').replace(']', '>') })
    .exitOverride();
  if (args.includes('--help') || args.includes('-h')) {
    return { kind: 'help', text: command.helpInformation() };
  }
  const { operands, unknown } = command.parseOptions([...args]);
  const faults = [...operands, ...unknown].map((arg) => `${arg}: there is no such option`);
  const given: { number?: string[] | true; call?: string[] | true; dryRun?: true } = command.opts();
  const values = (name: 'number' | 'call'): readonly string[] => {
    if (given[name] === true) faults.push(`--${name}: the value is missing`);
    return Array.isArray(given[name]) ? given[name] : [];
  };
  const numbers = values('number').map((text) => text.replace(/[-+. ()]/g, ''));
  for (const digits of numbers) {
    if (!/^\d{1,32}$/.test(digits)) {
      faults.push('--number: expected digits, with + - . ( ) or blanks between');
    } else if (digits.length < NUMBER_DIGITS_MIN) {
      faults.push(
        `--number: found ${digits.length} digits, expected ${NUMBER_DIGITS_MIN} at least; use --call`,
      );
    }
  }
  const ids = values('call').map((text) => text.toLowerCase());
  for (const id of ids) if (!isUuid(id)) faults.push('--call: expected the id of a call (UUID)');
  if (faults.length === 0 && numbers.length + ids.length === 0) {
    faults.push('whose calls? --number or --call');
  }
  if (faults.length > 0) throw new CallscribeError('USAGE', faults.join('\n'));
  return { kind: 'run', numbers, callIds: ids.map(toCallId), isDryRun: given.dryRun === true };
}
