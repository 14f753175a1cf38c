import { describe, expect, it } from 'vitest';

import { ASR_BENCH_DEFAULTS, compareAsrLoads, sendersOfRounds } from '../../src/bench/asr.ts';
import { type AsrLoadReport, type AsrSender, runAsrLoad } from '../../src/bench/asr-load.ts';
import { readBenchCommandLine } from '../../src/bench/command-line.ts';
import { INTAKE_BENCH_DEFAULTS } from '../../src/bench/intake.ts';
import { muteRecogniser, scriptedRecogniser } from '../../src/bench/scripted-recogniser.ts';
import { systemClock } from '../../src/clock.ts';
import { silentLogger } from '../../src/log.ts';
import { startSandbox } from '../../src/sandbox/server.ts';

function report(sender: AsrSender, facts: Partial<AsrLoadReport>): AsrLoadReport {
  const delay = { p50Ms: 0.1, p99Ms: 1, maxMs: 2 };
  return {
    sender,
    frames: 100,
    results: 0,
    failures: 0,
    cpuUsPerSessionSecond: 100,
    insideMs: delay,
    lateMs: delay,
    bufferedMaxBytes: 0,
    heapBytesPerSession: 1_000,
    rssBytesPerSession: 2_000,
    ...facts,
  };
}

describe('the verdict', () => {
  it('sets the cheapest round of the client against the cheapest of the bare loop', () => {
    const result = compareAsrLoads(ASR_BENCH_DEFAULTS, [
      report('bare', { cpuUsPerSessionSecond: 100 }),
      report('client', { cpuUsPerSessionSecond: 150 }),
      report('client', { cpuUsPerSessionSecond: 120 }),
      report('bare', { cpuUsPerSessionSecond: 110 }),
    ]);
    expect(result.cpuRatio).toBe(1.2);
    expect(result.aims).toEqual({ cpuRatio: 'met', insideMaxMs: 'met', bytesPerSession: 'met' });
  });

  it('says which aims are missed', () => {
    const result = compareAsrLoads(ASR_BENCH_DEFAULTS, [
      report('bare', {}),
      report('client', {
        cpuUsPerSessionSecond: 126,
        insideMs: { p50Ms: 0, p99Ms: 0, maxMs: 20.1 },
        heapBytesPerSession: 102_400,
      }),
    ]);
    expect(result.aims).toEqual({ cpuRatio: 'missed', insideMaxMs: 'missed', bytesPerSession: 'missed' });
  });

  it('does not pass a comparison with one half', () => {
    expect(() => compareAsrLoads(ASR_BENCH_DEFAULTS, [report('client', {})])).toThrow(RangeError);
  });

  it('lets neither sender be the second one every time', () => {
    expect(sendersOfRounds(2)).toEqual(['bare', 'client', 'client', 'bare']);
  });
});

describe('the command line', () => {
  it('measures 500 sessions where nothing else is asked', () => {
    expect(readBenchCommandLine(['asr'])).toEqual({ kind: 'asr', options: ASR_BENCH_DEFAULTS });
  });

  it('takes every option', () => {
    const args = ['asr', '--sessions', '20', '--seconds', '3', '--rounds', '1', '--results', 'none'];
    const options = { sessions: 20, seconds: 3, rounds: 1, results: 'none' };
    expect(readBenchCommandLine(args)).toEqual({ kind: 'asr', options });
  });

  it('names every fault at once', () => {
    const args = ['astr', '--sessions', '0', '--seconds', '--results', 'music', '--fast'];
    expect(() => readBenchCommandLine(args)).toThrow(
      [
        'which bench? found astr; there are: asr, files, intake, live, pipeline, recording, search',
        '--fast: there is no such option',
        '--sessions: found 0; expected a whole number from 1 to 5000',
        '--seconds: the value is missing',
        '--results: found music; expected speech or none',
      ].join('\n'),
    );
  });

  it('measures 200 legs of an intake where nothing else is asked', () => {
    expect(readBenchCommandLine(['intake'])).toEqual({ kind: 'intake', options: INTAKE_BENCH_DEFAULTS });
    const args = ['intake', '--legs', '1000', '--seconds', '20', '--rounds', '3', '--results', 'speech'];
    const options = { legs: 1_000, seconds: 20, rounds: 3, results: 'speech', processes: 1 };
    expect(readBenchCommandLine(args)).toEqual({ kind: 'intake', options });
  });

  it('takes no option of another bench', () => {
    expect(() => readBenchCommandLine(['intake', '--sessions', '5', '--legs', '3'])).toThrow(
      '--sessions: is not for intake\n--legs: found 3; expected an even number, or 1',
    );
  });
});

describe('the scripted recogniser', () => {
  it('says ten words in every six seconds, the tenth one final', () => {
    const recognition = scriptedRecogniser.open({ sampleRateHz: 8_000, sentenceSilenceMs: 800 });
    const events = Array.from({ length: 120 }, () => recognition.feed(Buffer.alloc(1_600))).flat();
    expect(events).toHaveLength(20);
    const finals = events.filter(({ kind }) => kind === 'final');
    expect(finals.map(({ text }) => text)).toEqual(Array(2).fill('您好我想查一下这个月的话费为什么这么多？'));
    expect(finals[1]!.beginMs - finals[0]!.beginMs).toBeGreaterThan(3_000);
  });
});

describe('a load', () => {
  it.each(['client', 'bare'] as const)('of the %s sends every frame and fails nowhere', async (sender) => {
    await using sandbox = await startSandbox({
      host: '127.0.0.1',
      port: 0,
      recogniser: sender === 'client' ? scriptedRecogniser : muteRecogniser,
      rateLimit: 'off',
      logger: silentLogger,
    });
    const load = { sender, url: sandbox.url, sessions: 3, seconds: 1, clock: systemClock };
    const measured = await runAsrLoad({ ...load, collectGarbage: undefined });
    expect(measured).toMatchObject({ sender, failures: 0 });
    expect(measured.frames).toBeGreaterThan(0);
    expect(measured.insideMs.p50Ms).toBeGreaterThan(0);
    expect(measured.cpuUsPerSessionSecond).toBeGreaterThan(0);
    expect(sandbox.counters.tasksStarted).toBe(sandbox.counters.tasksFinished);
    expect(sandbox.counters.framesStray).toBe(0);
  });
});
