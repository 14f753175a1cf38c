import type { AnsweredCall } from './answered-calls.ts';

/** What the intake of this machine answered, against what has become rows. */
export interface LedgerFigures {
  readonly answered: number;
  /** Of these, calls that have a row. */
  readonly stored: number;
  readonly heardSeconds: number;
  /** Answered calls that have no row, oldest first. */
  readonly missing: readonly AnsweredCall[];
  /** Answered calls whose end was never noted: they go on, or their process died. */
  readonly withoutEnd: number;
}

/** @param missing ids of calls without a row */
export function ledgerFigures(calls: readonly AnsweredCall[], missing: ReadonlySet<string>): LedgerFigures {
  return {
    answered: calls.length,
    stored: calls.length - missing.size,
    heardSeconds: calls.reduce((sum, { ended }) => sum + (ended?.heardMs ?? 0), 0) / 1_000,
    missing: calls.filter(({ callId }) => missing.has(callId)),
    withoutEnd: calls.filter(({ ended }) => ended === undefined).length,
  };
}
