import { expect, test } from 'vitest';

import type { CallOutcome, CallReport, SentLeg } from '../../src/caller/call-report.ts';
import { reportLines, summaryText } from '../../src/caller/report-text.ts';

const leg: SentLeg = {
  kind: 'sent',
  label: '1',
  codec: 'PCMA',
  ssrc: 1,
  packets: 100,
  packetsSent: 99,
  lost: 2,
  reordered: 0,
  duplicated: 1,
  sendFailures: 0,
  rtcpReceived: 0,
  srtp: undefined,
  receiverReports: 0,
  reportedLost: undefined,
  reportedJitterMs: undefined,
  firstPacketAtMs: 0,
};

const report = (outcome: CallOutcome, legs: CallReport['legs'] = []): CallReport => ({
  callId: 'id@127.0.0.1',
  mode: 'siprec',
  seed: 1,
  outcome,
  legs,
});

test('a call is one line and each leg another, with the faults that it had', () => {
  const legs: CallReport['legs'] = [leg, { kind: 'refused', label: '2', codec: 'PCMU' }];
  expect(reportLines(report({ kind: 'completed' }, legs))).toEqual([
    'id@127.0.0.1: completed',
    '  leg 1 PCMA: 99 packets sent, 2 lost, 1 duplicated',
    '  leg 2 PCMU: the peer refused this line (port 0)',
  ]);
});

test('what came back is a line below its leg', () => {
  const clock = { p50Ms: 0.3, p99Ms: 1.2, maxMs: 3.4, driftMs: 0.1, driftPpm: -2.5 };
  const heard = {
    packets: 500,
    lost: 1,
    outOfOrder: 0,
    unreadable: 0,
    foreign: 0,
    ssrcs: 1,
    talkspurts: 1,
    leaps: 0,
    durationMs: 10_000,
    clock,
  };
  expect(reportLines(report({ kind: 'completed' }, [{ ...leg, heard }]))[2]).toBe(
    '    heard 500 packets in 10.0 s, 1 lost, 0 out of order, 0 unreadable, 0 from elsewhere, 1 SSRC, 1 talkspurts, ' +
      '0 leaps of the timestamp; arrivals off the RTP clock: p50 0.3 p99 1.2 max 3.4 ms, drift 0.1 ms (-2.5 ppm)',
  );
});

test('the summary counts calls by what became of them', () => {
  const refused: CallOutcome = { kind: 'refused', status: 503, message: 'the peer answered INVITE with 503' };
  const outcomes: CallOutcome[] = [refused, { kind: 'completed' }, { kind: 'completed' }];
  expect(summaryText(outcomes.map((outcome) => report(outcome)))).toBe(
    '3 calls: 2 completed; 1 failed: the peer answered INVITE with 503',
  );
  expect(summaryText([report({ kind: 'aborted' })])).toBe('1 call: 1 stopped');
});
