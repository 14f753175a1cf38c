import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';

import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';

import type { Authenticate } from '../access/authenticate.ts';
import type { Principal, Scope } from '../access/principal.ts';
import type { Clock } from '../clock.ts';
import type { ControlClient } from '../control/control-client.ts';
import type { CallPlaces } from '../forget/forget-call.ts';
import type { LiveFeed } from '../live/feed.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Pool } from '../store/pool.ts';
import type { StoredTranscription } from '../store/transcriptions.ts';
import type { RecordedCall } from '../transcribe/recorded-call.ts';
import type { MailboxAddress } from '../voicemail/mailbox-news.ts';
import type { OpenStreams } from './open-streams.ts';

/** Takes audio files that are handed in. */
export interface UploadDesk {
  readonly fileMaxBytes: number;
  /**
   * Resolves when the file is on disk and waits for its turn.
   *
   * @param name as the client calls the file; only its ending matters
   * @throws {CallscribeError} AUDIO_UNSUPPORTED, BODY_TOO_LARGE, TRANSCRIPTIONS_FULL, STORAGE_UNUSABLE
   */
  take(
    tenant: string,
    name: string,
    content: Readable & { readonly truncated?: boolean },
  ): Promise<StoredTranscription>;
  /**
   * Resolves when a copy of the call's recording waits for its turn.
   *
   * @param file where the recording is
   * @throws {CallscribeError} as `take`
   */
  takeRecording(tenant: string, file: string, call: RecordedCall): Promise<StoredTranscription>;
}

/** What the routes work with; the root in workers/ fills it. */
export interface ApiContext {
  readonly pool: Pool;
  readonly live: LiveFeed;
  readonly streams: OpenStreams;
  readonly authenticate: Authenticate;
  readonly settings: ApiSettings;
  /** Commands to the intakes. */
  readonly control: Pick<ControlClient, 'ask'>;
  /** Where calls are deleted from, as far as this machine reaches. */
  readonly callPlaces: CallPlaces;
  readonly uploads: UploadDesk;
  /** Told after a message of the mailbox changed or went. */
  readonly onMailbox: (address: MailboxAddress) => void;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface ApiSettings {
  /** Origins whose pages may ask; none: no page of another origin. */
  readonly corsOrigins: readonly string[];
  /** Of each credential that has no limit of its own. */
  readonly requestsPerMinute: number;
  /** Below it the WAV files of calls. */
  readonly recordingDir: string;
  /** Of test deliveries. */
  readonly webhooks: { readonly allow: readonly string[]; readonly timeoutMs: number };
}

/**
 * Adds a file of routes. Each route below /v1 names its scope in `config`, and its schemas: from them come validation,
 * types and the OpenAPI document. Names in JSON are those of the tables (`begin_ms`); times are RFC 3339 in UTC.
 * Faults are thrown as `CallscribeError`; problem.ts gives each code its status.
 */
export type AddRoutes = (app: ApiApp, context: ApiContext) => void | Promise<void>;

/** A Fastify app whose routes are described by zod schemas; plugins that are added stay within its file. */
export type ApiApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks. There in every route that names a scope. */
    principal: Principal;
  }
  interface FastifyContextConfig {
    /** What the credential must allow; `open`: nobody is asked who they are. */
    scope?: Scope | 'open';
    /** Whether a one-time ticket in the query (`ticket=`) is taken in place of a token. */
    takesTicket?: boolean;
    /** Whether the answer has an ETag, by which clients need not get it twice. */
    hasEtag?: boolean;
    /** JSON Schema of a form that the route reads itself, as it comes: for the description only. */
    form?: Readonly<Record<string, unknown>>;
  }
}
