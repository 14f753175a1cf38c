import { createAuthenticate } from '../src/access/authenticate.ts';
import { createApi } from '../src/api/api.ts';
import { OpenStreams } from '../src/api/open-streams.ts';
import type { Bus } from '../src/bus/bus.ts';
import type { Clock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import { ControlClient } from '../src/control/control-client.ts';
import type { HttpServer } from '../src/http/server.ts';
import type { Logger } from '../src/log.ts';
import { type Metrics, observe } from '../src/metrics.ts';
import type { QueueBackend } from '../src/queue/backend.ts';
import { classifiedPool } from '../src/store/classified-pool.ts';
import type { Pool } from '../src/store/pool.ts';
import { countMailbox } from '../src/store/voicemails.ts';
import type { TranscribeOptions } from '../src/transcribe/transcribe-file.ts';
import { MailboxTeller } from '../src/voicemail/mailbox-teller.ts';
import { openCallPlaces } from './call-places.ts';
import { CloseStack } from './close-stack.ts';
import { openLiveFeed } from './live.ts';
import type { Role } from './role-type.ts';
import { Transcriptions } from './transcriptions.ts';

export interface ApiRoleDeps {
  readonly config: Pick<Config, 'api' | 'asr' | 'dataDir' | 'recording' | 'webhooks'>;
  readonly pool: Pool;
  /** The process's own, which hands the API its requests. */
  readonly http: HttpServer;
  readonly bus: Bus;
  readonly backend: QueueBackend;
  /** By which files that are handed in are recognised. */
  readonly recogniser: TranscribeOptions['service'];
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The role that answers /v1. @throws {CallscribeError} BUS_UNREACHABLE, QUEUE_UNREACHABLE, STORAGE_UNUSABLE */
export async function startApiRole(deps: ApiRoleDeps): Promise<Role> {
  const { config, http, bus, backend, metrics, logger, clock } = deps;
  const pool = classifiedPool(deps.pool);
  const { tokens, oidc, streams: limits, ...settings } = config.api;
  const closers = new CloseStack();
  const control = await ControlClient.open(bus);
  closers.add(() => control.close());
  const callPlaces = await openCallPlaces(config, deps.pool, backend, closers);
  const uploads = await Transcriptions.open({
    config,
    pool: deps.pool,
    service: deps.recogniser,
    logger,
  });
  closers.add(() => uploads.close());
  const mailboxes = new MailboxTeller({ bus, count: (address) => countMailbox(deps.pool, address), logger });
  closers.add(() => mailboxes.close());
  const live = await openLiveFeed({ ...deps, pool });
  const streams = new OpenStreams({ limits, pool, metrics, logger, clock });
  closers.add(() => {
    streams.close();
    return Promise.resolve();
  });
  observe(
    metrics,
    'callscribe_live_streams_open',
    'places of live streams that are taken',
    () => streams.count,
  );
  const app = await createApi(
    {
      pool,
      live,
      streams,
      authenticate: createAuthenticate({ pool, clock, tokens, oidc }),
      settings: { ...settings, recordingDir: config.recording.directory, webhooks: config.webhooks },
      control,
      callPlaces,
      uploads,
      onMailbox: (address) => {
        mailboxes.tell(address);
      },
      metrics,
      logger,
      clock,
    },
    http.webSockets,
  );
  closers.add(() => app.close());
  // Streams end first: the app waits for its connections.
  closers.add(() => live.close());
  http.mount(app);
  return { name: 'api', close: () => closers.close() };
}
