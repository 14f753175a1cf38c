/** The part of vitest's JSON report that the last line is made of. */
export interface RunReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/**
 * The last line of `npm test`. A file that could not be loaded counts as one failure, and so does a run that
 * ended with an error that belongs to no test: the line never looks better than the exit code.
 */
export function summaryLine(report: RunReport | undefined, exitCode: number): string {
  const brokenFiles = (report?.testResults ?? []).filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  ).length;
  const failed = (report?.numFailedTests ?? 0) + brokenFiles;
  const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
  const counts = [
    `${report?.numPassedTests ?? 0} passed`,
    `${failed === 0 && exitCode !== 0 ? 1 : failed} failed`,
  ];
  if (skipped > 0) counts.push(`${skipped} skipped`);
  return counts.join(', ');
}
