import type { CallOutcome, CallReport, LegReport } from './call-report.ts';
import type { HeardFigures } from './heard-figures.ts';

/** A call's report for a person, one line for the call and one for each leg. */
export function reportLines(report: CallReport): string[] {
  return [
    `${report.callId}: ${outcomeText(report.outcome)}`,
    ...report.legs.flatMap((leg) => [
      `  ${legText(leg)}`,
      ...(leg.kind === 'sent' && leg.heard !== undefined ? [`    ${heardText(leg.heard)}`] : []),
    ]),
  ];
}

export function outcomeText(outcome: CallOutcome): string {
  switch (outcome.kind) {
    case 'completed':
      return 'completed';
    case 'refused':
    case 'failed':
      return `failed: ${outcome.message}`;
    case 'ended-by-peer':
      return 'ended by the peer before the audio was over';
    case 'not-ended-by-peer':
      return 'the peer did not hang up in time';
    case 'aborted':
      return 'stopped';
  }
}

function legText(leg: LegReport): string {
  const name = `leg ${leg.label} ${leg.codec}`;
  if (leg.kind === 'refused') return `${name}: the peer refused this line (port 0)`;
  if (leg.kind === 'unsent') return `${name}: nothing sent`;
  const faults = [
    [leg.lost, 'lost'],
    [leg.reordered, 'reordered'],
    [leg.duplicated, 'duplicated'],
    [leg.sendFailures, 'not taken by the system'],
  ].flatMap(([count, what]) => (count === 0 ? [] : [`${String(count)} ${String(what)}`]));
  if (leg.reportedLost !== undefined) faults.push(`${leg.reportedLost} lost by the peer's report`);
  return `${name}${leg.srtp === undefined ? '' : ' over SRTP'}: ${leg.packetsSent} packets sent${faults.map((fault) => `, ${fault}`).join('')}`;
}

function heardText(heard: HeardFigures): string {
  const { packets, lost, outOfOrder, unreadable, foreign, ssrcs, talkspurts, leaps, durationMs, clock } =
    heard;
  const counts = `${packets} packets in ${(durationMs / 1_000).toFixed(1)} s, ${lost} lost, ${outOfOrder} out of order, ${unreadable} unreadable, ${foreign} from elsewhere, ${ssrcs} SSRC, ${talkspurts} talkspurts, ${leaps} leaps of the timestamp`;
  if (clock === undefined) return `heard ${counts}`;
  const { p50Ms, p99Ms, maxMs, driftMs, driftPpm } = clock;
  return `heard ${counts}; arrivals off the RTP clock: p50 ${p50Ms} p99 ${p99Ms} max ${maxMs} ms, drift ${driftMs} ms (${driftPpm} ppm)`;
}

/** How many calls ended in which way, most frequent first, for the last line. */
export function summaryText(reports: readonly CallReport[]): string {
  const counts = new Map<string, number>();
  for (const { outcome } of reports) {
    const text = outcomeText(outcome);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const parts = [...counts].sort(([, a], [, b]) => b - a).map(([text, count]) => `${count} ${text}`);
  return `${reports.length} ${reports.length === 1 ? 'call' : 'calls'}: ${parts.join('; ')}`;
}
