/**
 * `npm run fuzz [-- SEED]`: the long form of the fuzz test, against a service of its own: 200,000 mutated SIP messages and
 * 1,000,000 mutated RTP and RTCP packets while ten calls run again and again. Takes some minutes; the last line is one
 * JSON object. Exit codes: 0 nothing broke, 1 something did.
 */
import process from 'node:process';

import { findFaults, LONG_FORM, runFuzz } from './run.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const seed = Number(process.argv[2] ?? LONG_FORM.seed);
const scale = Number(process.env['CALLSCRIBE_FUZZ_SCALE'] ?? 1);
const report = await runFuzz({
  ...LONG_FORM,
  seed,
  sipMessages: Math.round(LONG_FORM.sipMessages * scale),
  rtpPackets: Math.round(LONG_FORM.rtpPackets * scale),
  onProgress: print,
});
const faults = findFaults(report);
for (const fault of faults) print(fault);
print(faults.length === 0 ? 'nothing broke' : `${faults.length} faults; seed ${seed}`);
print(
  JSON.stringify({
    ...report,
    changedCalls: report.changedCalls.length,
    lines: report.lines.length,
    faults: faults.length,
  }),
);
for (const line of report.lines) process.stderr.write(`${line}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;
