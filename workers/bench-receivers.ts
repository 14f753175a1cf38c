import { createResilientOpener } from '../src/asr/resilient-session.ts';
import { BareForwarder } from '../src/bench/bare-forwarder.ts';
import type { IntakeReceiver } from '../src/bench/intake.ts';
import { readStampFromPcm } from '../src/bench/packet-stamp.ts';
import { type ReceiverFigures, ReceiverMeter } from '../src/bench/receiver-meter.ts';
import type { RtpLoadTarget } from '../src/bench/rtp-load.ts';
import { kernelDrops } from '../src/bench/udp-drops.ts';
import type { Bus } from '../src/bus/bus.ts';
import type { Publisher } from '../src/call/publisher.ts';
import type { LegRecord } from '../src/call/record.ts';
import { systemClock } from '../src/clock.ts';
import { loadConfig } from '../src/config.ts';
import type { Connection } from '../src/dashscope/connection.ts';
import { ConnectionPool } from '../src/dashscope/connection-pool.ts';
import { createLiveHub } from '../src/live/hub.ts';
import { createLogger } from '../src/log.ts';
import { createMetrics } from '../src/metrics.ts';
import { garbageCollector } from './bench-process.ts';
import { startIntakeRole } from './intake.ts';
import { openRecognition } from './recognition.ts';
import type { Role } from './role-type.ts';
import { startSipSide } from './sip-side.ts';

export interface ReceiverOrder {
  readonly asrUrl: string;
  /** An edge of another process; without it the intake starts its own. */
  readonly sipServer?: { readonly host: string; readonly port: number; readonly secret: string };
  readonly rtpPorts: { readonly first: number; readonly last: number };
  /** The forwarder opens its sockets for them; an intake waits for calls. */
  readonly legs: number;
}

/** What is known of the legs after their end. */
export interface ReceivedTotals {
  readonly legs: number;
  readonly packetsReceived: number;
  /** Of audio that was handed to the recogniser, what was filled included. */
  readonly audioMs: number;
  readonly failures: number;
  readonly kernelDrops: number | undefined;
}

/** A receiving process of the bench. */
export interface BenchReceiver {
  /** Where the load goes; a forwarder opens its sockets at this. */
  open(): Promise<RtpLoadTarget | undefined>;
  baseline(): Promise<void>;
  measure(legs: number, seconds: number): Promise<ReceiverFigures>;
  /** Before the calls end, since sockets take their counters with them. */
  kernelDrops(): Promise<number | undefined>;
  /** Waits for the end of every call. */
  totals(): Promise<Omit<ReceivedTotals, 'kernelDrops'>>;
  close(): Promise<void>;
}

const PTIME_MS = 20;
/** What goes wrong in a bench is to be seen. */
const logger = createLogger({ level: 'warn', format: 'json' });

export function startReceiver(kind: IntakeReceiver, order: ReceiverOrder): Promise<BenchReceiver> {
  const meter = new ReceiverMeter(garbageCollector());
  return kind === 'intake' ? startIntake(order, meter) : Promise.resolve(bareReceiver(order, meter));
}

function bareReceiver({ asrUrl, legs }: ReceiverOrder, meter: ReceiverMeter): BenchReceiver {
  let forwarder: BareForwarder | undefined;
  return {
    open: async () => {
      forwarder = await BareForwarder.open({ asrUrl, legs, meter });
      return { kind: 'ports', rtpPorts: forwarder.rtpPorts };
    },
    baseline: () => meter.baseline(),
    measure: (...of) => meter.measure(...of),
    kernelDrops: async () => {
      const ports = new Set(forwarder?.rtpPorts);
      return kernelDrops((port) => ports.has(port));
    },
    totals: async () => {
      const packetsReceived = forwarder?.packetsReceived ?? 0;
      await forwarder?.close();
      return { legs, packetsReceived, audioMs: packetsReceived * PTIME_MS, failures: 0 };
    },
    close: () => Promise.resolve(),
  };
}

/** The intake as production runs it; what its calls give is counted in place of the queue. */
async function startIntake(order: ReceiverOrder, meter: ReceiverMeter): Promise<BenchReceiver> {
  const { asrUrl, rtpPorts } = order;
  const config = loadConfig({
    SIP_LISTEN: 'udp:127.0.0.1:0',
    RTP_ADDRESS: '127.0.0.1',
    RTP_PORTS: `${rtpPorts.first}-${rtpPorts.last}`,
    MAX_LEGS: '100000',
    MAX_CALLS_PER_SECOND: '10000',
    ...drachtioSettings(order.sipServer),
  });
  const metrics = createMetrics();
  const sip = await startSipSide({ config, metrics, logger, clock: systemClock });
  const pool = watchedPool(asrUrl, meter);
  const books = new CallBooks();
  const recognition = openRecognition({
    url: asrUrl,
    apiKey: 'bench',
    workspace: undefined,
    pool,
    metrics,
    logger,
  }).services;
  const role: Role = await startIntakeRole({
    config,
    sip,
    openAsr: createResilientOpener(recognition),
    recognition,
    publisher: books,
    canPublish: () => true,
    live: createLiveHub(),
    bus: nobodyListens,
    metrics,
    logger,
    clock: systemClock,
  });
  return {
    open: () => {
      const address = sip.sipAddresses[0];
      if (address === undefined) return Promise.resolve(undefined);
      const { host, port } = address;
      return Promise.resolve({ kind: 'sip', target: { user: undefined, host, port } });
    },
    baseline: async () => {
      books.clear();
      await meter.baseline();
    },
    measure: (...of) => meter.measure(...of),
    kernelDrops: () => kernelDrops((port) => port >= rtpPorts.first && port <= rtpPorts.last),
    totals: () => books.totals(),
    close: async () => {
      await role.close();
      await pool.close();
      await sip.close();
    },
  };
}

/** Of the environment, for who connects to that edge. */
export function drachtioSettings(server: ReceiverOrder['sipServer']): Record<string, string> {
  if (server === undefined) return {};
  const { host, port, secret } = server;
  return { DRACHTIO_HOST: host, DRACHTIO_PORT: String(port), DRACHTIO_SECRET: secret };
}

/** The connections of production, at a start rate that does not hold a bench up, and each noting what it sends. */
function watchedPool(url: string, meter: ReceiverMeter): ConnectionPool {
  const pool = new ConnectionPool({
    url,
    apiKey: 'bench',
    startRate: { perSecond: 1_000, burst: 100 },
    waitingMax: 10_000,
  });
  const { connect } = pool;
  return Object.assign(pool, {
    connect: (listener: Parameters<typeof connect>[0]): Connection => watched(connect(listener), meter),
  });
}

/** Only told apart by what it notes: everything else of the connection is as it was. */
function watched(connection: Connection, meter: ReceiverMeter): Connection {
  const send = connection.sendAudio.bind(connection);
  connection.sendAudio = (frame) => {
    send(frame);
    meter.sent(readStampFromPcm(frame));
  };
  return connection;
}

/** Stands where the queue does: keeps the books of ended legs. */
class CallBooks implements Publisher {
  readonly #ended = new Map<string, LegRecord>();
  readonly #open = new Set<string>();
  #failures = 0;
  #whenAllEnded: (() => void) | undefined;

  publishSentence(): void {
    return;
  }

  written(): Promise<'written'> {
    return Promise.resolve('written');
  }

  publishEvent({ kind }: Parameters<Publisher['publishEvent']>[0]): void {
    if (kind.endsWith('_failed')) this.#failures += 1;
  }

  publishCall(call: Parameters<Publisher['publishCall']>[0]): void {
    // A call that ends says so before its legs have given their figures.
    const isClosed = call.endedAt !== undefined && call.legs.every(({ media }) => media !== undefined);
    if (!isClosed) {
      this.#open.add(call.id);
      return;
    }
    this.#open.delete(call.id);
    for (const leg of call.legs) this.#ended.set(leg.id, leg);
    if (this.#open.size === 0) this.#whenAllEnded?.();
  }

  clear(): void {
    this.#ended.clear();
    this.#failures = 0;
  }

  async totals(): Promise<Omit<ReceivedTotals, 'kernelDrops'>> {
    if (this.#open.size > 0) await new Promise<void>((resolve) => (this.#whenAllEnded = resolve));
    const totals = { legs: 0, packetsReceived: 0, audioMs: 0, failures: this.#failures };
    for (const { media } of this.#ended.values()) {
      totals.legs += 1;
      totals.packetsReceived += numberOf(media, 'packetsReceived');
      totals.audioMs +=
        numberOf(media, 'packetsReceived') * PTIME_MS +
        numberOf(media, 'silenceMs') +
        numberOf(media, 'concealedMs') -
        numberOf(media, 'overlapMs') -
        numberOf(media, 'unrecognisedMs');
    }
    return totals;
  }
}

function numberOf(media: LegRecord['media'], name: string): number {
  const value = media?.[name];
  return typeof value === 'number' ? value : 0;
}

/** What is measured here is the road to the queue. */
const nobodyListens: Bus = {
  publish: () => undefined,
  subscribe: () => Promise.resolve(() => Promise.resolve()),
  close: () => Promise.resolve(),
};
