import { describe, expect, it } from 'vitest';

import type { RunReport } from './summary.ts';
import { summaryLine } from './summary.ts';

const clean: RunReport = {
  numPassedTests: 12,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [{ status: 'passed', assertionResults: [{ status: 'passed' }] }],
};
const brokenFile = { status: 'failed', assertionResults: [] };
const failedFile = { status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'passed' }] };

describe('the last line of npm test', () => {
  it.each([
    ['all passed', clean, 0, '12 passed, 0 failed'],
    ['some skipped', { ...clean, numPendingTests: 2, numTodoTests: 1 }, 0, '12 passed, 0 failed, 3 skipped'],
    ['some failed', { ...clean, numFailedTests: 1, testResults: [failedFile] }, 1, '12 passed, 1 failed'],
    ['a file that does not load', { ...clean, testResults: [brokenFile] }, 1, '12 passed, 1 failed'],
    ['an error of no test', clean, 1, '12 passed, 1 failed'],
    ['a run without a report', undefined, 1, '0 passed, 1 failed'],
  ])('tells %s', (_, report, exitCode, line) => {
    expect(summaryLine(report, exitCode)).toBe(line);
  });
});
