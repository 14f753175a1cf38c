import { arch, cpus } from 'node:os';

import { type AsrSinkTotals, startAsrSink } from '../src/bench/asr-sink.ts';
import {
  compareIntakeRuns,
  type IntakeBenchOptions,
  type IntakeReceiver,
  type IntakeRunReport,
  receiversOfRounds,
} from '../src/bench/intake.ts';
import { intakeLine, intakeVerdictLines } from '../src/bench/intake-text.ts';
import type { ReceiverFigures } from '../src/bench/receiver-meter.ts';
import { RtpLoad, type RtpLoadReport, type RtpLoadTarget } from '../src/bench/rtp-load.ts';
import { startScriptedSink } from '../src/bench/scripted-sink.ts';
import { systemClock } from '../src/clock.ts';
import { type BenchProcess, type Duties } from './bench-process.ts';
import {
  type BenchReceiver,
  type ReceivedTotals,
  type ReceiverOrder,
  startReceiver,
} from './bench-receivers.ts';

type Start = (name: string) => BenchProcess;

const WARM_UP_LEGS = 20;
const WARM_UP_S = 1;
/** What the compiler of the machine needs to settle; both receivers get it. */
const STEADY_AFTER_S = 3;
/** What was sent last has come by then. */
const LAST_PACKETS_S = 0.2;
/** A pair a leg, and what rests from the warm-up. */
const RTP_PORTS = { first: 20_000, last: 29_999 };

/** `npm run bench -- intake`; the last line is one JSON object. */
export async function benchIntake(
  options: IntakeBenchOptions,
  start: Start,
  print: (line: string) => void,
): Promise<void> {
  const { legs, seconds, rounds } = options;
  print(`${legs} legs, ${seconds} s, ${rounds} rounds; ${cpus().length} × ${cpus()[0]?.model ?? arch()}`);
  const reports: IntakeRunReport[] = [];
  for (const receiver of receiversOfRounds(rounds)) {
    reports.push(await measureReceiver(receiver, options, start));
    print(intakeLine(reports.at(-1)!));
  }
  const result = compareIntakeRuns(options, reports);
  for (const line of intakeVerdictLines(result)) print(line);
  print(JSON.stringify(result));
}

/** One receiver, with a recogniser and a sender of its own. */
async function measureReceiver(
  kind: IntakeReceiver,
  { legs, seconds, results }: IntakeBenchOptions,
  start: Start,
): Promise<IntakeRunReport> {
  using sink = start('sink');
  using receiver = start(kind);
  using sender = start('sender');
  const asrUrl = await sink.ask<string>('sink', results);
  const order: ReceiverOrder = { asrUrl, rtpPorts: RTP_PORTS, legs };
  await receiver.ask('receive', { kind, order });
  if (kind === 'intake') {
    const target = await receiver.ask<RtpLoadTarget>('receiver.open');
    await sender.ask('speak', { target, legs: WARM_UP_LEGS });
    await elapsed(WARM_UP_S);
    await sender.ask('speak.stop');
    await sender.ask('speak.hangUp');
    await receiver.ask('receiver.totals');
  }
  await receiver.ask('receiver.baseline');
  const before = await sink.ask<AsrSinkTotals>('sink.totals');
  const target = await receiver.ask<RtpLoadTarget>('receiver.open');
  await sender.ask('speak', { target, legs });
  await elapsed(STEADY_AFTER_S);
  const figures = await receiver.ask<ReceiverFigures>('receiver.measure', { legs, seconds });
  const sent = await sender.ask<RtpLoadReport>('speak.stop');
  await elapsed(LAST_PACKETS_S);
  const kernelDrops = await receiver.ask<number | undefined>('receiver.kernelDrops');
  const hungUp = sender.ask('speak.hangUp');
  const received = await receiver.ask<Omit<ReceivedTotals, 'kernelDrops'>>('receiver.totals');
  await hungUp;
  await receiver.ask('receiver.close');
  const heard = await sink.ask<AsrSinkTotals>('sink.totals');
  for (const child of [sender, receiver, sink]) await child.end();
  return reportOf(kind, legs, { figures, sent, received, kernelDrops, heard, before });
}

interface Measured {
  readonly figures: ReceiverFigures;
  readonly sent: RtpLoadReport;
  readonly received: Omit<ReceivedTotals, 'kernelDrops'>;
  readonly kernelDrops: number | undefined;
  readonly heard: AsrSinkTotals;
  readonly before: AsrSinkTotals;
}

const PCM_BYTES_PER_MS = 16;

function reportOf(receiver: IntakeReceiver, legs: number, measured: Measured): IntakeRunReport {
  const { figures, sent, received, kernelDrops, heard, before } = measured;
  const perLeg = (value: number): number => Math.round(value / legs);
  const heardMs = (heard.bytes - before.bytes) / PCM_BYTES_PER_MS;
  return {
    receiver,
    legs,
    packetsSent: sent.packetsSent,
    packetsReceived: received.packetsReceived,
    packetsLost: sent.packetsSent - received.packetsReceived,
    kernelDrops,
    audioMissingMs: Math.round(received.audioMs - heardMs),
    failures: {
      callsRefused: sent.callsRefused,
      legsMissing: legs - received.legs,
      events: received.failures,
      tasksUnfinished: heard.tasks - heard.tasksFinished,
    },
    chunks: figures.chunks,
    delayMs: figures.delayMs,
    eventLoopDelayMs: figures.eventLoopDelayMs,
    cpuUsPerLegSecond: Math.round(figures.cpuUs / legs / (figures.measuredMs / 1_000)),
    cpuShare: Math.round(figures.cpuUs / figures.measuredMs) / 1_000,
    senderCpuShare: Math.round(sent.cpuShare * 1_000) / 1_000,
    senderLateMaxMs: Math.round(sent.lateMaxMs),
    heapBytesPerLeg: perLeg(figures.heapBytes),
    rssBytesPerLeg: perLeg(figures.rssBytes),
  };
}

/** What the processes of this bench have open; each is one of them only. */
let sink: { totals(): AsrSinkTotals } | undefined;
let receiver: BenchReceiver | undefined;
let load: RtpLoad | undefined;

export const intakeDuties: Duties = {
  sink: async (results: IntakeBenchOptions['results']) => {
    const opened = await (results === 'none' ? startAsrSink() : startScriptedSink());
    sink = opened;
    return opened.url;
  },
  'sink.totals': () => sink?.totals(),
  receive: async ({ kind, order }: { kind: IntakeReceiver; order: ReceiverOrder }) => {
    receiver = await startReceiver(kind, order);
  },
  'receiver.open': () => receiver?.open(),
  'receiver.baseline': () => receiver?.baseline(),
  'receiver.measure': (of: { legs: number; seconds: number }) => receiver?.measure(of.legs, of.seconds),
  'receiver.kernelDrops': () => receiver?.kernelDrops(),
  'receiver.totals': () => receiver?.totals(),
  'receiver.close': () => receiver?.close(),
  speak: async ({ target, legs }: { target: RtpLoadTarget; legs: number }) => {
    load = await RtpLoad.open(target, legs, systemClock);
  },
  'speak.stop': () => load?.stop(),
  'speak.hangUp': () => load?.hangUp(),
};

function elapsed(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });
}
