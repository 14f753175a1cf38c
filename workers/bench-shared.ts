import process from 'node:process';

import type { IntakeBenchOptions } from '../src/bench/intake.ts';
import type { RtpLoadReport, RtpLoadTarget } from '../src/bench/rtp-load.ts';
import {
  compareSharedRuns,
  processesOfRounds,
  sharedLine,
  type SharedRunReport,
  sharedVerdictLines,
} from '../src/bench/shared-intakes.ts';
import { systemClock } from '../src/clock.ts';
import { loadConfig } from '../src/config.ts';
import type { AppAddress } from '../src/edge/edge.ts';
import { silentLogger } from '../src/log.ts';
import { createMetrics } from '../src/metrics.ts';
import type { BenchProcess, Duties } from './bench-process.ts';
import { drachtioSettings, type ReceivedTotals, type ReceiverOrder } from './bench-receivers.ts';
import { startSipSide } from './sip-side.ts';

type Start = (name: string) => BenchProcess;

const WARM_UP_LEGS = 40;
const WARM_UP_S = 2;
const LAST_PACKETS_S = 0.2;
const RTP_PORTS_FIRST = 20_000;
const RTP_PORTS_EACH = 5_000;

/** `npm run bench -- intake --processes N`; the last line is one JSON object. */
export async function benchSharedIntakes(
  options: IntakeBenchOptions,
  start: Start,
  print: (line: string) => void,
): Promise<void> {
  const reports: SharedRunReport[] = [];
  for (const processes of processesOfRounds(options.rounds, options.processes)) {
    reports.push(await measureShared(processes, options, start));
    print(sharedLine(reports.at(-1)!));
  }
  const result = compareSharedRuns(options, reports);
  for (const line of sharedVerdictLines(result)) print(line);
  print(JSON.stringify(result));
}

/** The calls of one sender, through one edge, to so many intakes. */
async function measureShared(
  processes: number,
  options: IntakeBenchOptions,
  start: Start,
): Promise<SharedRunReport> {
  const children: BenchProcess[] = [];
  const begin = (name: string): BenchProcess => {
    const child = start(name);
    children.push(child);
    return child;
  };
  try {
    const [sink, edge, sender] = [begin('sink'), begin('edge'), begin('sender')];
    const intakes = Array.from({ length: processes }, () => begin('intake'));
    const parts: Parts = { sink, edge, sender, intakes };
    return await carry(parts, options);
  } finally {
    for (const child of children) child[Symbol.dispose]();
  }
}

interface Parts {
  readonly sink: BenchProcess;
  readonly edge: BenchProcess;
  readonly sender: BenchProcess;
  readonly intakes: readonly BenchProcess[];
}

async function carry(
  { sink, edge, sender, intakes }: Parts,
  { legs: legsOfOne, seconds, results }: IntakeBenchOptions,
): Promise<SharedRunReport> {
  const legs = legsOfOne * intakes.length;
  const everyIntake = <T>(duty: string): Promise<T[]> =>
    Promise.all(intakes.map((intake) => intake.ask<T>(duty)));

  const asrUrl = await sink.ask<string>('sink', results);
  const { sipServer, target } = await edge.ask<OpenedEdge>('edge');
  for (const [no, intake] of intakes.entries()) {
    const first = RTP_PORTS_FIRST + no * RTP_PORTS_EACH;
    const order: ReceiverOrder = {
      asrUrl,
      sipServer,
      rtpPorts: { first, last: first + RTP_PORTS_EACH - 1 },
      legs,
    };
    await intake.ask('receive', { kind: 'intake', order });
  }
  await speak(sender, target, WARM_UP_LEGS, WARM_UP_S);
  await sender.ask('speak.hangUp');
  await everyIntake('receiver.totals');
  await everyIntake('receiver.baseline');

  const before = await everyIntake<number>('cpu');
  const edgeBefore = await edge.ask<number>('cpu');
  const sent = await speak(sender, target, legs, seconds);
  const hungUp = sender.ask('speak.hangUp');
  const received = await everyIntake<ReceivedTotals>('receiver.totals');
  await hungUp;
  const after = await everyIntake<number>('cpu');
  const edgeAfter = await edge.ask<number>('cpu');
  await everyIntake('receiver.close');
  for (const child of [sender, ...intakes, edge, sink]) await child.end();
  const sum = (of: (totals: ReceivedTotals) => number): number =>
    received.reduce((total, totals) => total + of(totals), 0);
  const missing = legs - sum((totals) => totals.legs);
  return {
    processes: intakes.length,
    legsOfEach: received.map((totals) => totals.legs),
    packetsOfEach: received.map((totals) => totals.packetsReceived),
    cpuUsOfEach: after.map((us, no) => us - before[no]!),
    edgeCpuUs: edgeAfter - edgeBefore,
    packetsSent: sent.packetsSent,
    packetsReceived: sum((totals) => totals.packetsReceived),
    failures: sum((totals) => totals.failures) + sent.callsRefused + missing,
  };
}

async function speak(
  sender: BenchProcess,
  target: RtpLoadTarget,
  legs: number,
  seconds: number,
): Promise<RtpLoadReport> {
  await sender.ask('speak', { target, legs });
  await elapsed(seconds);
  const sent = await sender.ask<RtpLoadReport>('speak.stop');
  await elapsed(LAST_PACKETS_S);
  return sent;
}

interface OpenedEdge {
  readonly sipServer: AppAddress;
  readonly target: RtpLoadTarget;
}

export const sharedDuties: Duties = {
  edge: async (): Promise<OpenedEdge> => {
    const secret = 'bench';
    const config = loadConfig({
      SIP_LISTEN: 'udp:127.0.0.1:0',
      MAX_CALLS_PER_SECOND: '10000',
      ...drachtioSettings({ host: '127.0.0.1', port: 1, secret }),
    });
    const { server, sipAddresses } = await startSipSide({
      config,
      metrics: createMetrics(),
      logger: silentLogger,
      clock: systemClock,
      apps: { host: '127.0.0.1', port: 0, secret },
    });
    const { host, port } = sipAddresses[0]!;
    return {
      sipServer: { host: server.host, port: server.port, secret },
      target: { kind: 'sip', target: { user: undefined, host, port } },
    };
  },
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
};

function elapsed(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });
}
