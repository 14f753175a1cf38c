import Table from 'cli-table3';

import type { ChaosKind } from './kinds.ts';
import { isFaultless, type Verdict } from './verdict.ts';

/** What came of one kind. */
export interface ChaosReport extends Verdict {
  readonly kind: ChaosKind;
  readonly seed: number;
  readonly queue: 'redis' | 'postgres';
  readonly seconds: number;
  /** How often harm was done. */
  readonly harms: number;
  readonly calls: {
    readonly answered: number;
    readonly complete: number;
    readonly failed: number;
    /** Closed by recovery. */
    readonly recovered: number;
    /** Whose dialog was ended by a BYE of ours. */
    readonly endedByPeer: number;
    /** Answered, and no row. */
    readonly unstored: number;
    /** Not complete when the wait was over. */
    readonly open: number;
    /** Whose BYE met with anything but 200. */
    readonly byesLost: number;
    /** Not answered: refused, or nobody there. */
    readonly refused: number;
  };
  /** How late the sender's packets left at worst; beyond 150 ms or so the machine was too busy for this load. */
  readonly senderLateMs: number;
  /** RTP that the intake counts as lost or late: the machine was too busy. */
  readonly packetsLost: number;
  /** Events of the calls, by kind. */
  readonly events: Readonly<Record<string, number>>;
  /** From the last call's end to the last completion. */
  readonly settledMs: number;
  /** Processes that ended without having been told to. */
  readonly crashes: readonly string[];
  /** What the service itself says could not be kept: metrics that are not 0, by name. */
  readonly told: Readonly<Record<string, number>>;
}

/** Nothing missing, doubled or wrong in time, every answered call complete, no process died by itself. */
export function isClean(report: ChaosReport): boolean {
  const { calls, crashes } = report;
  return isFaultless(report) && calls.unstored + calls.open + calls.failed === 0 && crashes.length === 0;
}

const COLUMNS = [
  'spoken',
  'stored',
  'missing',
  'doubled',
  'wrongInTime',
  'damaged',
  'starved',
  'strange',
  'misnumbered',
  'cut',
  'unheard',
] as const;

/** One row a kind. */
export function chaosTable(reports: readonly ChaosReport[]): string {
  const table = new Table({
    head: ['kind', 'harms', ...COLUMNS, 'calls', 'complete', 'recovered', 'open'],
    style: { head: [], border: [] },
  });
  for (const report of reports) {
    const { kind, harms, calls } = report;
    table.push([
      kind,
      harms,
      ...COLUMNS.map((column) => report[column]),
      calls.answered,
      calls.complete,
      calls.recovered,
      calls.open + calls.unstored + calls.failed,
    ]);
  }
  return table.toString();
}
