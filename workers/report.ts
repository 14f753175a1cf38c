/**
 * `npm run report -- --help`: calls answered against calls stored, seconds heard against seconds recognised, and each
 * gap. Exit codes: 0 no gap, 1 gaps, 2 wrong usage or configuration.
 */
import { join } from 'node:path';
import process from 'node:process';

import Table from 'cli-table3';
import { Command } from 'commander';

import { loadConfig } from '../src/config.ts';
import { CallscribeError } from '../src/errors.ts';
import { readAnsweredCalls } from '../src/ledger/answered-calls.ts';
import { type LedgerFigures, ledgerFigures } from '../src/ledger/ledger-figures.ts';
import { silentLogger } from '../src/log.ts';
import {
  findMissingCalls,
  loadReport,
  REPORT_GAPS_MAX,
  type ReportGap,
  type ReportSpan,
  type ReportTotals,
} from '../src/store/load-report.ts';
import type { Pool } from '../src/store/pool.ts';
import { CloseStack } from './close-stack.ts';
import { runRoot } from './main.ts';
import { databaseUrlOf, openStore } from './stores.ts';

const DAY_MS = 86_400_000;
const STATEMENT_MAX_MS = 600_000;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

interface Order extends ReportSpan {
  readonly dataDirs: readonly string[];
  readonly format: 'text' | 'json';
}

/** @returns undefined where help was asked for */
function readOrder(args: readonly string[]): Order | undefined {
  const command = new Command('report')
    .description(
      'Of calls that began in a span of time: what was answered, stored, heard, recognised; and each gap',
    )
    .option('--from [time]', 'RFC 3339 time or date (UTC); default: 24 hours before the end')
    .option('--to [time]', 'RFC 3339 time or date (UTC); default: now')
    .option('--data-dir [directory...]', 'of the intakes to compare with; default: DATA_DIR')
    .option('--json', 'one JSON object')
    .configureHelp({ optionTerm: ({ flags }) => flags.replace('[', '<').replace(']', '>') })
    .exitOverride();
  if (args.includes('--help') || args.includes('-h')) {
    print(command.helpInformation());
    return undefined;
  }
  const { operands, unknown } = command.parseOptions([...args]);
  const faults = [...operands, ...unknown].map((arg) => `${arg}: there is no such option`);
  const given: { from?: string | true; to?: string | true; dataDir?: string[] | true; json?: true } =
    command.opts();
  const time = (name: 'from' | 'to', otherwise: Date): Date => {
    const text = given[name];
    if (text === undefined) return otherwise;
    const date = new Date(text === true ? Number.NaN : text);
    if (Number.isNaN(date.getTime())) {
      faults.push(`--${name}: expected a time such as 2026-11-22T08:00:00Z, or a date`);
      return otherwise;
    }
    return date;
  };
  const to = time('to', new Date());
  const from = time('from', new Date(to.getTime() - DAY_MS));
  if (from >= to && faults.length === 0) faults.push('--from: expected a time before --to');
  if (given.dataDir === true) faults.push('--data-dir: the value is missing');
  if (faults.length > 0) throw new CallscribeError('USAGE', faults.join('\n'));
  return {
    from,
    to,
    dataDirs: Array.isArray(given.dataDir) ? given.dataDir : [],
    format: given.json === true ? 'json' : 'text',
  };
}

async function compareLedgers(pool: Pool, order: Order): Promise<LedgerFigures> {
  const dataDirs = order.dataDirs.length > 0 ? order.dataDirs : [loadConfig(process.env).dataDir];
  const calls = [];
  for (const dataDir of dataDirs) {
    calls.push(...(await readAnsweredCalls(join(dataDir, 'answered'), order.from, order.to)));
  }
  const missing = await findMissingCalls(
    pool,
    calls.map(({ callId }) => callId),
  );
  return ledgerFigures(calls, new Set(missing));
}

function printReport(
  order: Order,
  ledger: LedgerFigures,
  totals: ReportTotals,
  gaps: readonly ReportGap[],
): void {
  const rounded = (seconds: number): string => seconds.toFixed(1);
  print(`Calls that began from ${order.from.toISOString()} to ${order.to.toISOString()}\n`);
  const table = new Table({ colAligns: ['left', 'right', 'left'] });
  table.push(
    ['answered, as the intake noted', ledger.answered, `${ledger.withoutEnd} of them without an end`],
    [
      'of these stored',
      ledger.stored,
      ledger.missing.length === 0 ? '' : `${ledger.missing.length} missing, below`,
    ],
    [
      'calls in the rows',
      totals.calls,
      `${totals.complete} complete, ${totals.finishing} finishing, ${totals.active} active, ${totals.failed} failed`,
    ],
    ['legs, sentences', `${totals.legs}, ${totals.sentences}`, ''],
    ['seconds heard, as the intake noted', rounded(ledger.heardSeconds), 'of calls with an end'],
    ['seconds heard, in the rows', rounded(totals.heardSeconds), ''],
    [
      'seconds recognised',
      rounded(totals.recognisedSeconds),
      totals.heardSeconds === 0
        ? ''
        : `${((100 * totals.recognisedSeconds) / totals.heardSeconds).toFixed(3)} %`,
    ],
    ['seconds lost on the network', rounded(totals.concealedSeconds), ''],
    [
      'dead letters since',
      totals.deadLetters,
      totals.deadLetters === 0 ? '' : 'npm run dead-letters -- list',
    ],
  );
  print(table.toString());
  for (const { callId, answeredAt, ended } of ledger.missing) {
    print(
      `${answeredAt.toISOString()}  ${callId}  answered and not stored${ended === undefined ? ', never ended' : ''}`,
    );
  }
  for (const gap of gaps) print(`${gap.startedAt?.toISOString() ?? '?'}  ${gap.callId}  ${textOf(gap)}`);
  if (gaps.length === REPORT_GAPS_MAX) {
    print(`… and more: only ${REPORT_GAPS_MAX} are listed; choose a shorter span.`);
  }
  if (gaps.length + ledger.missing.length === 0) print('No gap.');
}

function textOf({ kind, legNo, amount }: ReportGap): string {
  switch (kind) {
    case 'unrecognised':
      return `leg ${legNo}: ${(amount ?? 0).toFixed(1)} s of audio without recognition (npm run recognise)`;
    case 'sentences_missing':
      return `leg ${legNo}: ${amount} sentences were given and are not stored`;
    case 'no_audio':
      return `leg ${legNo}: no audio came`;
    case 'lost':
      return 'given up: nothing came of it any more';
    case 'failed':
      return 'failed: none of its audio was recognised';
  }
}

await runRoot(async () => {
  const order = readOrder(process.argv.slice(2));
  if (order === undefined) return;
  const closers = new CloseStack();
  try {
    const databaseUrl = await databaseUrlOf(loadConfig(process.env), silentLogger, closers);
    const pool = await openStore(databaseUrl, silentLogger, closers, STATEMENT_MAX_MS);
    const ledger = await compareLedgers(pool, order);
    const { totals, gaps } = await loadReport(pool, order);
    const { from, to } = order;
    if (order.format === 'json') print(JSON.stringify({ from, to, ledger, totals, gaps }));
    else printReport(order, ledger, totals, gaps);
    if (gaps.length + ledger.missing.length > 0) process.exitCode = 1;
  } finally {
    await closers.close();
  }
});
