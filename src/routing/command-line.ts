import { Command } from 'commander';
import ipaddr from 'ipaddr.js';

import { CallscribeError } from '../errors.ts';

export type RouteCommandLine =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'schema' }
  | { readonly kind: 'check'; readonly file: string | undefined }
  | {
      readonly kind: 'explain';
      readonly file: string | undefined;
      /** A file with one INVITE as it came; `-` is standard input. */
      readonly invite: string;
      readonly at: Date;
      readonly peerAddress: string | undefined;
    };

/**
 * Reads the arguments of `npm run route --`.
 *
 * @throws {CallscribeError} `USAGE` with every fault at once
 */
export function readRouteCommandLine(args: readonly string[], now: Date): RouteCommandLine {
  const command = new Command('route')
    .usage('explain <invite.txt> | check | schema')
    .description(
      'explain: which rule of ROUTES_FILE takes an INVITE, and why. check: whether the file can be taken. schema: what it ' +
        'may hold, as a JSON Schema for editors.',
    )
    .option('--file <file>', 'rules other than those of ROUTES_FILE')
    .option('--at <time>', 'when the INVITE comes (RFC 3339); default: now')
    .option('--from <address>', 'address that it comes from; default: that of its topmost Via')
    .exitOverride();
  if (args.includes('--help') || args.includes('-h')) {
    return { kind: 'help', text: command.helpInformation() };
  }
  const { operands, unknown } = command.parseOptions([...args]);
  const faults = unknown.map((arg) => `${arg}: there is no such option, or its value is missing`);
  const { file, at, from }: { file?: string; at?: string; from?: string } = command.opts();
  const [what, invite, ...more] = operands;
  const moment = at === undefined ? now : new Date(at);
  if (Number.isNaN(moment.getTime())) {
    faults.push('--at: expected a time such as 2026-03-02T09:30:00+08:00');
  }
  if (from !== undefined && !ipaddr.isValid(from)) faults.push('--from: expected an address');
  if (what !== 'explain' && what !== 'check' && what !== 'schema') {
    faults.push(`${what ?? 'no command'}: expected explain, check or schema`);
  }
  if (what === 'explain' && invite === undefined) {
    faults.push('explain: expected a file with an INVITE, or -');
  }
  const extra = what === 'explain' ? more : operands.slice(1);
  for (const arg of extra) faults.push(`${arg}: one argument too many`);
  if (faults.length > 0) throw new CallscribeError('USAGE', faults.join('\n'));
  if (what === 'schema' || what === 'check') return what === 'schema' ? { kind: what } : { kind: what, file };
  return { kind: 'explain', file, invite: invite ?? '-', at: moment, peerAddress: from };
}
