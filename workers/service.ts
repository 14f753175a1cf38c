import { createResilientOpener } from '../src/asr/resilient-session.ts';
import type { Bus } from '../src/bus/bus.ts';
import { systemClock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import type { Edge } from '../src/edge/edge.ts';
import { CallscribeError } from '../src/errors.ts';
import { type HttpServer, startHttpServer } from '../src/http/server.ts';
import type { CallId } from '../src/ids.ts';
import { createLiveHub, type LiveHub } from '../src/live/hub.ts';
import { tellRowsChanged } from '../src/live/relay.ts';
import type { Logger } from '../src/log.ts';
import { createMetrics, type Metrics } from '../src/metrics.ts';
import type { QueueBackend } from '../src/queue/backend.ts';
import { QueuePublisher } from '../src/queue/publisher.ts';
import type { Pool } from '../src/store/pool.ts';
import { countMailbox } from '../src/store/voicemails.ts';
import type { MailboxAddress } from '../src/voicemail/mailbox-news.ts';
import { MailboxTeller } from '../src/voicemail/mailbox-teller.ts';
import { WEBHOOK_POLICY } from '../src/webhooks/verdict.ts';
import { startApiRole } from './api.ts';
import { startCallsRole } from './calls.ts';
import { CloseStack } from './close-stack.ts';
import { startIntakeRole } from './intake.ts';
import { startMails } from './mails.ts';
import { observeOutbox } from './observe-outbox.ts';
import { observeProcess } from './observe-process.ts';
import { claimConfiguredPorts } from './ports.ts';
import { findRecogniser, type Recogniser } from './recogniser.ts';
import { openRecognition } from './recognition.ts';
import { startSentencesRole } from './sentences.ts';
import { type SipSide, startSipSide } from './sip-side.ts';
import { databaseUrlOf, openBackend, openBus, openStore } from './stores.ts';
import { startSweeper } from './sweeper.ts';
import { startWebhooksRole } from './webhooks.ts';

/** What `npm start` runs in one process. */
export const ROLES = ['intake', 'sentences', 'calls', 'webhooks', 'api'] as const;
/** What `npm run worker` can run alone. `edge`: the embedded SIP edge, for the intakes of other processes. */
export const WORKER_ROLES = [...ROLES, 'edge'] as const;
export type RoleName = (typeof WORKER_ROLES)[number];

export interface ServiceOptions {
  readonly config: Config;
  readonly roles: readonly RoleName[];
  readonly logger: Logger;
  /** Told before each thing that may take a while, for whoever watches. */
  readonly onStep?: (step: string) => void;
}

/** What runs in this process. */
export interface Service extends AsyncDisposable {
  readonly httpUrl: string;
  /** Where the embedded SIP edge listens; empty where a drachtio-server does. */
  readonly sipAddresses: Edge['sipAddresses'];
  /** Undefined where no role of this process touches the database. */
  readonly pool: Pool | undefined;
  readonly live: LiveHub;
  readonly recogniser: 'sandbox' | 'dashscope' | undefined;
  /** Drains and closes everything in the order that `startService` gives; may be called twice. */
  close(): Promise<void>;
}

/**
 * Starts roles and, where nothing is configured, the embedded stand-ins that they need. Everything is closed in
 * the reverse order of its start: intake (drained), publisher, SIP edge, recogniser, writers, database, HTTP.
 *
 * @throws {CallscribeError} with the way out; whatever was started before is closed
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const closers = new CloseStack();
  try {
    return await new Starter(options, closers).start();
  } catch (error) {
    await closers.close();
    throw error;
  }
}

class Starter {
  readonly #options: ServiceOptions;
  readonly #closers: CloseStack;
  readonly #metrics: Metrics = createMetrics();
  readonly #live = createLiveHub();
  #recogniserFound: Promise<Recogniser> | undefined;
  readonly #readiness: Record<string, () => boolean> = {};

  constructor(options: ServiceOptions, closers: CloseStack) {
    this.#options = options;
    this.#closers = closers;
  }

  async start(): Promise<Service> {
    const { config, roles, logger } = this.#options;
    let started = false;
    this.#readiness['started'] = () => started;
    observeProcess(this.#metrics);
    const http = await startHttpServer({
      listen: config.http,
      metrics: this.#metrics,
      readiness: this.#readiness,
    });
    this.#closers.add(() => http.close());

    if (roles.includes('edge')) {
      const edge = await this.#startEdgeAlone();
      started = true;
      return this.#service(http.url, undefined, { sipAddresses: edge.sipAddresses, recogniser: undefined });
    }
    const databaseUrl = await this.#databaseUrl();
    if (databaseUrl !== undefined) this.#step('bringing the database to the newest schema');
    const pool = databaseUrl === undefined ? undefined : await openStore(databaseUrl, logger, this.#closers);
    const backend = openBackend(config, databaseUrl);
    const bus = openBus(config, databaseUrl, { logger, metrics: this.#metrics });
    this.#closers.add(() => bus.close());
    if (pool !== undefined) await this.#startWriters(pool, backend, bus);
    if (pool !== undefined && roles.includes('webhooks')) await this.#startWebhooks(pool, backend);
    if (pool !== undefined && roles.includes('api')) await this.#startApi(pool, http, bus, backend);
    const intake = roles.includes('intake') ? await this.#startIntake(backend, bus) : undefined;
    started = true;
    return this.#service(http.url, pool, intake);
  }

  #service(
    httpUrl: string,
    pool: Pool | undefined,
    intake: Pick<Service, 'sipAddresses' | 'recogniser'> | undefined,
  ): Service {
    return {
      httpUrl,
      sipAddresses: intake?.sipAddresses ?? [],
      pool,
      live: this.#live,
      recogniser: intake?.recogniser,
      close: () => this.#closers.close(),
      [Symbol.asyncDispose]: () => this.#closers.close(),
    };
  }

  #step(step: string): void {
    this.#options.onStep?.(step);
  }

  /** Undefined where neither a writer nor the queue of this process needs a database. */
  async #databaseUrl(): Promise<string | undefined> {
    const { config, roles, logger } = this.#options;
    const needed = config.redisUrl === undefined || roles.some((role) => role !== 'intake');
    if (!needed || config.databaseUrl !== undefined) return config.databaseUrl;
    this.#step('starting the embedded Postgres (the first start takes some seconds)');
    return databaseUrlOf(config, logger, this.#closers);
  }

  async #startWriters(pool: Pool, backend: QueueBackend, bus: Bus): Promise<void> {
    const { roles, logger } = this.#options;
    const onComplete = (callId: CallId): void => {
      tellRowsChanged(bus, callId);
    };
    const mailboxes = this.#openMailboxes(pool, bus);
    const onMailbox = (address: MailboxAddress): void => {
      mailboxes.tell(address);
    };
    const deps = { pool, backend, logger, metrics: this.#metrics, onComplete, onMailbox };
    for (const [name, start] of [
      ['calls', startCallsRole],
      ['sentences', startSentencesRole],
    ] as const) {
      if (!roles.includes(name)) continue;
      this.#step(`starting the ${name} role`);
      const role = await start(deps);
      this.#closers.add(() => role.close());
    }
    if (!roles.includes('calls')) return;
    await mailboxes.serve();
    const { config } = this.#options;
    const metrics = this.#metrics;
    const sweeper = startSweeper({ pool, config, metrics, logger, clock: systemClock, onMailbox });
    this.#closers.add(() => sweeper.close());
  }

  #openMailboxes(pool: Pool, bus: Bus): MailboxTeller {
    const { logger } = this.#options;
    const mailboxes = new MailboxTeller({ bus, count: (address) => countMailbox(pool, address), logger });
    this.#closers.add(() => mailboxes.close());
    return mailboxes;
  }

  async #startWebhooks(pool: Pool, backend: QueueBackend): Promise<void> {
    const { config, logger } = this.#options;
    const { allow, ...limits } = config.webhooks;
    this.#step('starting the webhooks role');
    const policy = { ...WEBHOOK_POLICY, ...limits };
    const role = await startWebhooksRole({ pool, backend, policy, allow, logger, metrics: this.#metrics });
    this.#closers.add(() => role.close());
    const mails = startMails({ pool, config, logger, metrics: this.#metrics });
    this.#closers.add(() => mails.close());
  }

  async #startApi(pool: Pool, http: HttpServer, bus: Bus, backend: QueueBackend): Promise<void> {
    const { config, logger } = this.#options;
    this.#step('starting the api role');
    const role = await startApiRole({
      config,
      pool,
      http,
      bus,
      backend,
      recogniser: { ...(await this.#recogniser()), workspace: config.dashscope.workspace },
      metrics: this.#metrics,
      logger,
      clock: systemClock,
    });
    this.#closers.add(() => role.close());
  }

  async #startIntake(backend: QueueBackend, bus: Bus): Promise<Pick<Service, 'sipAddresses' | 'recogniser'>> {
    const { config, logger } = this.#options;
    await claimConfiguredPorts(config, logger, this.#closers);
    const recogniser = await this.#recogniser();
    const recognition = openRecognition({
      ...recogniser,
      workspace: config.dashscope.workspace,
      startsPerSecond: config.asr.startsPerSecond,
      policy: config.asr.resilience,
      metrics: this.#metrics,
      logger,
    });
    this.#closers.add(() => recognition.close());
    const sip = await this.#startSipSide();
    const publisher = await this.#openPublisher(backend);
    this.#step('starting the intake');
    const intake = await startIntakeRole({
      config,
      sip,
      openAsr: createResilientOpener(recognition.services),
      recognition: recognition.services,
      publisher,
      canPublish: () => publisher.state === 'ready',
      live: this.#live,
      bus,
      metrics: this.#metrics,
      logger,
      clock: systemClock,
    });
    this.#closers.add(() => intake.close());
    this.#readiness['intake'] = () => intake.isReady();
    return { sipAddresses: sip.sipAddresses, recogniser: recogniser.kind };
  }

  /** The same for all roles of the process. */
  #recogniser(): Promise<Recogniser> {
    return (this.#recogniserFound ??= findRecogniser(this.#options, this.#closers));
  }

  async #startSipSide(): Promise<SipSide> {
    const { config, logger } = this.#options;
    if (config.drachtio === undefined) this.#step('starting the embedded SIP edge');
    const sip = await startSipSide({ config, metrics: this.#metrics, logger, clock: systemClock });
    this.#closers.add(() => sip.close());
    return sip;
  }

  /** It listens where the intakes are told to connect, so that one environment serves both. */
  async #startEdgeAlone(): Promise<SipSide> {
    const { config, logger, roles } = this.#options;
    if (config.drachtio === undefined || roles.length > 1) {
      throw new CallscribeError(
        'USAGE',
        'the edge role runs alone and serves intakes of other processes: set DRACHTIO_HOST, DRACHTIO_PORT and ' +
          'DRACHTIO_SECRET, here to where it listens, and the same for them',
      );
    }
    this.#step('starting the embedded SIP edge for other processes');
    const sip = await startSipSide({
      config,
      metrics: this.#metrics,
      logger,
      clock: systemClock,
      apps: config.drachtio,
    });
    this.#closers.add(() => sip.close());
    this.#readiness['apps'] = () => sip.apps() > 0;
    return sip;
  }

  async #openPublisher(backend: QueueBackend): Promise<QueuePublisher> {
    const { logger, config } = this.#options;
    const publisher = await QueuePublisher.open({
      backend,
      dataDir: config.dataDir,
      outboxMaxBytes: config.outboxMaxBytes,
      logger,
      clock: systemClock,
      onOutcome: (queue, outcome, jobs) => {
        this.#metrics.jobs.inc({ queue, outcome }, jobs);
      },
    });
    this.#closers.add(() => publisher.close());
    observeOutbox(this.#metrics, publisher);
    return publisher;
  }
}
