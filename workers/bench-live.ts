import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { arch, cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import {
  FINAL_EVERY_PARTIALS,
  type LiveBenchOptions,
  type LiveBenchResult,
  liveLine,
  type LiveReport,
  ONE_SUPERVISOR_IN,
  PARTIAL_EVERY_MS,
} from '../src/bench/live.ts';
import { percentiles } from '../src/bench/percentiles.ts';
import type { CallRecord, LegRecord } from '../src/call/record.ts';
import { loadConfig } from '../src/config.ts';
import { type CallId, newCallId, newLegId } from '../src/ids.ts';
import { createLiveHub } from '../src/live/hub.ts';
import { LiveRelay } from '../src/live/relay.ts';
import { silentLogger as logger } from '../src/log.ts';
import { createMetrics } from '../src/metrics.ts';
import { createPool } from '../src/store/pool.ts';
import { saveCalls } from '../src/store/save-call.ts';
import { saveSentences } from '../src/store/save-sentence.ts';
import type { FinalSentence } from '../src/transcript/sentence.ts';
import { startBenchServers } from './bench-pipeline.ts';
import type { BenchProcess, Duties } from './bench-process.ts';
import { CloseStack } from './close-stack.ts';
import { type Service, startService } from './service.ts';
import { openBus } from './stores.ts';

interface LoadOrder {
  readonly kind: LiveReport['kind'];
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly legs: number;
  readonly seconds: number;
}

/**
 * `npm run bench -- live`; the last line is one JSON object. Three processes beside this one: one publishes what
 * recognisers would say (and writes the rows), one is the api role, one holds the subscribers' sockets.
 */
export async function benchLive(
  options: LiveBenchOptions,
  start: (name: string) => BenchProcess,
  print: (line: string) => void,
): Promise<void> {
  const { legs, subscribers, seconds } = options;
  print(
    `${legs} legs, ${subscribers} subscribers, ${seconds} s; ${cpus().length} × ${cpus()[0]?.model ?? arch()}`,
  );
  const closers = new CloseStack();
  try {
    const { databaseUrl, redisUrl } = await startBenchServers(closers);
    const reports: LiveReport[] = [];
    for (const kind of ['redis', 'postgres'] as const) {
      using load = start('load');
      using api = start('api');
      using clients = start('subscribers');
      const order: LoadOrder = { kind, databaseUrl, redisUrl, legs, seconds };
      const callIds = await load.ask<readonly CallId[]>('live-calls', order);
      const url = await api.ask<string>('live-api', order);
      await clients.ask('live-subscribe', { url, callIds, subscribers });
      const finalsPerCall = await load.ask<number>('live-load');
      reports.push({
        kind,
        ...(await clients.ask<Omit<LiveReport, 'kind'>>('live-collect', { finalsPerCall })),
      });
      await load.ask('live-end');
      await api.ask('live-api-end');
      print(liveLine(reports.at(-1)!));
    }
    print(JSON.stringify({ bench: 'live', options, reports } satisfies LiveBenchResult));
  } finally {
    await closers.close();
  }
}

/** On one machine the wall clock is the same for all processes; `Date.now` is too coarse. */
const nowMs = (): number => performance.timeOrigin + performance.now();
const textOfNow = (): string => `@${nowMs().toFixed(3)} 您好，这里是客服中心`;

const configOf = ({ kind, databaseUrl, redisUrl }: LoadOrder): ReturnType<typeof loadConfig> =>
  loadConfig({
    DATABASE_URL: databaseUrl,
    HTTP_LISTEN: '127.0.0.1:0',
    ...(kind === 'redis' ? { REDIS_URL: redisUrl } : {}),
  });

let running:
  { readonly calls: CallRecord[]; readonly order: LoadOrder; readonly closers: CloseStack } | undefined;
let service: Service | undefined;

async function openCalls(order: LoadOrder): Promise<readonly CallId[]> {
  const closers = new CloseStack();
  const pool = createPool({ databaseUrl: order.databaseUrl, logger });
  closers.add(() => pool.end());
  // Those of the round before are over.
  await pool.query("update calls set state = 'complete'");
  const calls = Array.from({ length: order.legs / 2 }, () => runningCall());
  await saveCalls(pool, calls);
  running = { calls, order, closers };
  return calls.map(({ id }) => id);
}

function runningCall(): CallRecord {
  const id = newCallId();
  const startedAt = new Date();
  const leg = (legNo: number): LegRecord => ({
    id: newLegId(id),
    legNo,
    label: undefined,
    role: legNo === 0 ? 'agent' : 'customer',
    name: undefined,
    uri: undefined,
    roleEvidence: {},
    codec: 'PCMA',
    model: 'bench',
    vocabularyId: undefined,
    startedAt,
    endedAt: undefined,
    media: undefined,
    sentenceCount: undefined,
  });
  return {
    id,
    revision: 1,
    state: 'active',
    sipCallId: id,
    tenant: 'default',
    direction: 'inbound',
    mapping: 'none',
    startedAt,
    answeredAt: startedAt,
    endedAt: undefined,
    endReason: undefined,
    metadata: {},
    identifiers: [],
    legs: [leg(0), leg(1)],
  };
}

/** Each leg says something every {@link PARTIAL_EVERY_MS}, the legs spread over that time. @returns finals of one call */
async function runLoad(): Promise<number> {
  if (running === undefined) throw new Error('no calls were opened');
  const { calls, order, closers } = running;
  const pool = createPool({ databaseUrl: order.databaseUrl, logger });
  closers.add(() => pool.end());
  const bus = openBus(configOf(order), order.databaseUrl, { logger, metrics: createMetrics() });
  closers.add(() => bus.close());
  const hub = createLiveHub();
  const relay = new LiveRelay(hub, bus);
  closers.add(() => {
    relay.close();
    return Promise.resolve();
  });
  for (const call of calls) hub.emit('call', { ...call, revision: 2 });
  const legs = calls.flatMap((call) => call.legs.map((leg) => ({ callId: call.id, leg })));
  const steps =
    Math.floor((order.seconds * 1_000) / PARTIAL_EVERY_MS / FINAL_EVERY_PARTIALS) * FINAL_EVERY_PARTIALS;
  const beginMs = performance.now();
  const unwritten: FinalSentence[] = [];
  for (let step = 0; step < steps; step += 1) {
    for (const [index, { callId, leg }] of legs.entries()) {
      const dueMs = beginMs + (step + index / legs.length) * PARTIAL_EVERY_MS;
      if (dueMs > performance.now() + 1) await sleep(dueMs - performance.now());
      const sentenceNo = Math.floor(step / FINAL_EVERY_PARTIALS) + 1;
      const sentence = {
        callId,
        legId: leg.id,
        legNo: leg.legNo,
        sentenceNo,
        beginMs: step,
        text: textOfNow(),
      };
      if ((step + 1) % FINAL_EVERY_PARTIALS > 0) {
        hub.emit('transcript', { kind: 'partial', sentence });
        continue;
      }
      const final = finalOf(sentence);
      hub.emit('transcript', { kind: 'final', sentence: final });
      if (unwritten.push(final) >= 100) void saveSentences(pool, unwritten.splice(0));
    }
  }
  await saveSentences(pool, unwritten);
  return 2 * (steps / FINAL_EVERY_PARTIALS);
}

function finalOf(
  sentence: Pick<FinalSentence, 'callId' | 'legId' | 'legNo' | 'sentenceNo' | 'beginMs' | 'text'>,
): FinalSentence {
  const at = new Date();
  return {
    ...sentence,
    tenant: 'default',
    webhooks: undefined,
    endMs: sentence.beginMs + 1,
    beginAt: at,
    endAt: at,
    words: [],
    emoTag: undefined,
    emoConfidence: undefined,
    asrTaskId: 'bench',
    concealedMs: 0,
  };
}

const finalsMs: number[] = [];
const partialsMs: number[] = [];
const finalIds: Set<string>[] = [];
const callsFollowed: number[] = [];
let doubled = 0;

async function subscribe(order: {
  readonly url: string;
  readonly callIds: readonly CallId[];
  readonly subscribers: number;
}): Promise<void> {
  const { url, callIds, subscribers } = order;
  const ready = Array.from({ length: subscribers }, async (_, index) => {
    const isSupervisor = index % ONE_SUPERVISOR_IN === 0;
    const path = isSupervisor ? '/v1/live' : `/v1/calls/${callIds[index % callIds.length] ?? ''}/events`;
    const [response] = (await once(get(new URL(path, url)), 'response')) as [IncomingMessage];
    if (response.statusCode !== 200) throw new Error(`${path}: status ${String(response.statusCode)}`);
    callsFollowed.push(isSupervisor ? callIds.length : 1);
    const calls = new Set<string>();
    await new Promise<void>((resolve) => {
      listen(response, (callId) => {
        calls.add(callId);
        if (calls.size === (isSupervisor ? callIds.length : 1)) resolve();
      });
    });
  });
  await Promise.all(ready);
}

function listen(response: IncomingMessage, onCall: (callId: string) => void): void {
  const ids = new Set<string>();
  finalIds.push(ids);
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const atMs = nowMs();
    text += chunk;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const type = /^event: (.*)$/m.exec(block)?.[1];
      if (type === 'call') onCall(/"call_id":"([^"]*)"/.exec(block)?.[1] ?? '');
      const saidMs = Number(/"text":"@([\d.]+)/.exec(block)?.[1]);
      if (type === 'sentence.partial') partialsMs.push(atMs - saidMs);
      if (type !== 'sentence.final') continue;
      finalsMs.push(atMs - saidMs);
      const id = /"leg_id":"[^"]*".*?"sentence_no":\d+/.exec(block)?.[0] ?? '';
      if (ids.has(id)) doubled += 1;
      ids.add(id);
    }
  });
}

const COLLECT_MAX_MS = 10_000;

async function collect({
  finalsPerCall,
}: {
  readonly finalsPerCall: number;
}): Promise<Omit<LiveReport, 'kind'>> {
  const finalsExpected = finalsPerCall * callsFollowed.reduce((sum, calls) => sum + calls, 0);
  const received = (): number => finalIds.reduce((sum, ids) => sum + ids.size, 0);
  const untilMs = performance.now() + COLLECT_MAX_MS;
  while (received() < finalsExpected && performance.now() < untilMs) await sleep(50);
  return {
    finals: percentiles(finalsMs),
    partials: percentiles(partialsMs),
    finalsExpected,
    finalsLost: finalsExpected - received(),
    finalsDoubled: doubled,
    partialsReceived: partialsMs.length,
  };
}

export const liveDuties: Duties = {
  'live-calls': openCalls,
  'live-load': runLoad,
  'live-end': () => running?.closers.close(),
  'live-api': async (order: LoadOrder) => {
    service = await startService({ config: configOf(order), roles: ['api'], logger });
    return service.httpUrl;
  },
  'live-api-end': () => service?.close(),
  'live-subscribe': subscribe,
  'live-collect': collect,
};
