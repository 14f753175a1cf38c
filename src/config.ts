import { join } from 'node:path';

import ipaddr from 'ipaddr.js';
import { z } from 'zod';

import { type EnvironmentToken, parseEnvironmentToken } from './access/environment-tokens.ts';
import type { OidcOptions } from './access/oidc.ts';
import { isAddressBlock } from './address-blocks.ts';
import type { ResiliencePolicy } from './asr/resilience-policy.ts';
import { MAINLAND_HTTP_URL } from './dashscope/rest-client.ts';
import { CallscribeError } from './errors.ts';
import { DIGEST_ALGORITHMS, type DigestAuthentication } from './sip/digest.ts';
import { DEFAULT_ROLE_RULES, type RoleRule } from './sip/role-rules.ts';
import { parseRoleRules } from './sip/role-rules-text.ts';

/** Where the embedded SIP edge listens. Port 0 takes any free port. */
export interface SipListenAddress {
  readonly protocol: 'udp' | 'tcp' | 'tls';
  readonly host: string;
  readonly port: number;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** The process's settings: read once from the environment, then handed down as values. */
export interface Config {
  readonly dashscope: {
    readonly apiKey: string | undefined;
    /** Read for each connection, in place of `apiKey`. */
    readonly apiKeyFile: string | undefined;
    /** Undefined where neither a key nor an address was given: then the sandbox is used. */
    readonly wsUrl: string | undefined;
    /** Of the REST interfaces; undefined where it is not known whose they are. */
    readonly httpUrl: string | undefined;
    readonly workspace: string | undefined;
  };
  readonly asr: {
    readonly model: string;
    readonly vocabularyId: string | undefined;
    /** Of recognition tasks, by one process. */
    readonly startsPerSecond: number;
    readonly resilience: Pick<
      ResiliencePolicy,
      'catchUpRate' | 'stallAfterMs' | 'postponeAfterMs' | 'afterCallMs' | 'renewAfterMs'
    >;
  };
  readonly databaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  readonly drachtio: (HostPort & { readonly secret: string }) | undefined;
  readonly sip: {
    readonly listen: readonly SipListenAddress[];
    /** CIDR blocks whose peers are served. */
    readonly allow: readonly string[];
    /** What everybody else gets. */
    readonly strangers: '403' | 'silent';
    /** PEM files; there wherever `listen` names a TLS address. */
    readonly tls:
      | { readonly certFile: string; readonly keyFile: string; readonly caFile: string | undefined }
      | undefined;
    /** Who may place plain calls; undefined: every peer that is served. */
    readonly digest: DigestAuthentication | undefined;
    /** New calls a second; so many may also come at once. */
    readonly callsPerSecond: number;
    readonly connectionsPerSource: number;
    /** Subscriptions to mailboxes at once, in one intake; none of them where `max` is 0. */
    readonly subscriptions: { readonly max: number; readonly perSourceMax: number };
    /** Head and body of one SIP message together. */
    readonly messageMaxBytes: number;
    /** Headers by which INVITEs are joined to one call; lower case. */
    readonly joinHeaders: readonly string[];
    /** After so long without a packet and a request the peer of a call is asked whether it stands. */
    readonly quietLimitMs: number;
  };
  readonly rtp: {
    readonly address: string | undefined;
    readonly advertisedAddress: string | undefined;
    readonly portMin: number;
    readonly portMax: number;
    /** No packet for so long on a line that announced media, and an event and a metric say so. */
    readonly silentAfterMs: number;
    /** Whether rows say which keys were pressed, or only that some were. */
    readonly dtmfDigits: 'store' | 'hide';
  };
  readonly http: HostPort;
  readonly api: {
    /** Beside those that `npm run tokens` makes. */
    readonly tokens: readonly EnvironmentToken[];
    /** Origins whose pages may ask. */
    readonly corsOrigins: readonly string[];
    readonly requestsPerMinute: number;
    /** Live streams of each process. */
    readonly streams: {
      readonly max: number;
      readonly maxPerCredential: number;
      readonly checkEveryMs: number;
    };
    /** Whose tokens hold, too. */
    readonly oidc: OidcOptions | undefined;
  };
  readonly dataDir: string;
  /** What the outbox may take on disk while queue or database are away. */
  readonly outboxMaxBytes: number;
  readonly rows: {
    /** Of older calls they are deleted, with their recordings; undefined: for ever. */
    readonly keepDays: number | undefined;
    /** Rows of the access log stay for so long; undefined: for ever. */
    readonly keepReadsDays: number | undefined;
    /** A call of which nothing came for so long is given up. */
    readonly giveUpAfterMs: number;
  };
  readonly recording: {
    /** Below it one WAV file for each call. */
    readonly directory: string;
    /** `spool`: none is kept; `memory`: nothing is even on disk. */
    readonly policy: 'keep' | 'spool' | 'memory';
    /** Undefined: for ever. */
    readonly keepDays: number | undefined;
    /** With which calls that are not kept are sealed while they last. */
    readonly keyFile: string;
  };
  readonly webhooks: {
    /** CIDR blocks that they may reach though these are not public. */
    readonly allow: readonly string[];
    readonly timeoutMs: number;
    readonly retryForMs: number;
    readonly disableAfterMs: number;
  };
  /** Undefined: nobody gets e-mails. */
  readonly mail:
    | {
        readonly smtpUrl: string;
        /** With or without a name. */
        readonly from: string;
        /** A larger recording is not sent along. */
        readonly attachmentMaxBytes: number;
        readonly retryForMs: number;
      }
    | undefined;
  /** Rules of which call gets what; undefined: all calls alike. */
  readonly routesFile: string | undefined;
  readonly maxLegs: number;
  /** How the agent is told from the customer, asked in this order. */
  readonly roleRules: readonly RoleRule[];
  /** How long current calls may go on after SIGTERM before they are ended. */
  readonly drainTimeoutMs: number;
  readonly logLevel: LogLevel;
}

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One wrong value of the environment. */
export interface ConfigFault {
  readonly name: string;
  /** What was found; of a secret only its length. */
  readonly found: string;
  readonly allowed: string;
}

/** All faults of the environment at once; a root prints them and ends with code 2. */
export class ConfigError extends CallscribeError {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    super(
      'CONFIG_INVALID',
      [
        `${faults.length} setting${faults.length === 1 ? '' : 's'} cannot be used:`,
        ...faults.map((fault) => `  ${fault.name}: found ${fault.found}, allowed is ${fault.allowed}`),
        'Correct the environment (.env.example lists every setting) and start again.',
      ].join('\n'),
    );
    this.faults = faults;
  }
}

export const MAINLAND_WS_URL = 'wss://dashscope.aliyuncs.com/api-ws/v1/inference';

const PRIVATE_NETWORKS =
  '127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10';

const SECRET_NAMES: ReadonlySet<string> = new Set([
  'DASHSCOPE_API_KEY',
  'DATABASE_URL',
  'REDIS_URL',
  'DRACHTIO_SECRET',
  'API_TOKENS',
  'SIP_DIGEST_USERS',
  'SMTP_URL',
]);

const trimmed = z.string().trim();
const text = trimmed.min(1);

/** A schema that turns text into a value; `allowed` is what the operator reads when it does not. */
function setting<T>(allowed: string, parse: (value: string) => T | undefined) {
  return text
    .transform((value, context) => {
      const parsed = parse(value);
      if (parsed !== undefined) return parsed;
      context.addIssue({ code: 'custom', message: allowed });
      return z.NEVER;
    })
    .optional();
}

function wholeNumber(value: string, min: number, max: number): number | undefined {
  if (!/^\d{1,9}$/.test(value)) return undefined;
  const parsed = Number(value);
  return parsed >= min && parsed <= max ? parsed : undefined;
}

const integer = (min: number, max: number) =>
  setting(`a whole number from ${min} to ${max}`, (value) => wholeNumber(value, min, max));

const url = (...protocols: string[]) =>
  setting(`an address that starts with ${protocols.join(' or ')}`, (value) =>
    URL.canParse(value) && protocols.includes(`${new URL(value).protocol}//`) ? value : undefined,
  );

/** `host:port`, `[ipv6]:port`; @returns undefined for anything else */
export function parseHostPort(value: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s[\]:]+)):(\d{1,5})$/.exec(value);
  if (match === null) return undefined;
  const port = wholeNumber(match[3] ?? '', 0, 65_535);
  if (port === undefined) return undefined;
  if (match[1] !== undefined && !ipaddr.IPv6.isValid(match[1])) return undefined;
  return { host: match[1] ?? match[2] ?? '', port };
}

/** Every part of a comma list must parse, else the list does not. */
function list<T>(value: string, parse: (part: string) => T | undefined): readonly T[] | undefined {
  const parts = value.split(',').map((part) => parse(part.trim()));
  return parts.every((part) => part !== undefined) ? parts : undefined;
}

function parseSipListen(value: string): SipListenAddress | undefined {
  const match = /^(udp|tcp|tls):(.+)$/.exec(value);
  const address = match === null ? undefined : parseHostPort(match[2] ?? '');
  if (match === null || address === undefined || !ipaddr.isValid(address.host)) return undefined;
  return { protocol: match[1] as SipListenAddress['protocol'], ...address };
}

function parsePortRange(value: string): { portMin: number; portMax: number } | undefined {
  const match = /^(\d{1,5})-(\d{1,5})$/.exec(value);
  if (match === null) return undefined;
  const portMin = wholeNumber(match[1] ?? '', 1024, 65_534);
  const portMax = wholeNumber(match[2] ?? '', 1025, 65_535);
  if (portMin === undefined || portMax === undefined || portMin >= portMax) return undefined;
  return { portMin, portMax };
}

/** RFC 5322 §3.4, of ASCII and without quoted names: what mail servers take everywhere. */
const MAIL_ADDRESS =
  /^(?:[\w .'-]{1,60}<[^\s<>@,;"\\]{1,64}@[A-Za-z0-9.-]{1,255}>|[^\s<>@,;"\\]{1,64}@[A-Za-z0-9.-]{1,255})$/;

const ipAddress = setting('an IPv4 or IPv6 address', (value) => (ipaddr.isValid(value) ? value : undefined));

const environment = z.object({
  DASHSCOPE_API_KEY: text.optional(),
  DASHSCOPE_API_KEY_FILE: text.optional(),
  DASHSCOPE_WS_URL: url('wss://', 'ws://'),
  DASHSCOPE_HTTP_URL: url('https://', 'http://'),
  DASHSCOPE_WORKSPACE: text.optional(),
  ASR_MODEL: text.default('paraformer-realtime-8k-v2'),
  ASR_VOCABULARY_ID: text.optional(),
  ASR_STARTS_PER_SECOND: integer(1, 10_000).default(20),
  ASR_CATCH_UP_RATE: integer(2, 100).default(8),
  ASR_STALL_SECONDS: integer(2, 600).default(10),
  ASR_POSTPONE_SECONDS: integer(1, 86_400).default(120),
  ASR_AFTER_CALL_SECONDS: integer(0, 86_400).default(60),
  ASR_RENEW_MINUTES: integer(1, 1_440).default(60),
  DATABASE_URL: url('postgres://', 'postgresql://'),
  REDIS_URL: url('redis://', 'rediss://'),
  DRACHTIO_HOST: text.optional(),
  DRACHTIO_PORT: integer(1, 65_535).default(9022),
  DRACHTIO_SECRET: text.optional(),
  SIP_LISTEN: setting('a comma list of udp:ADDRESS:PORT, tcp:… or tls:…, IPv6 in brackets', (value) =>
    list(value, parseSipListen),
  ).default([
    { protocol: 'udp', host: '0.0.0.0', port: 5060 },
    { protocol: 'tcp', host: '0.0.0.0', port: 5060 },
  ]),
  RTP_ADDRESS: ipAddress,
  RTP_ADVERTISED_ADDRESS: ipAddress,
  RTP_PORTS: setting('a range such as 20000-29999 within 1024-65535', parsePortRange).default({
    portMin: 20_000,
    portMax: 29_999,
  }),
  MEDIA_SILENT_SECONDS: integer(1, 3_600).default(10),
  DTMF_DIGITS: setting('store or hide', (value) =>
    (['store', 'hide'] as const).find((able) => able === value),
  ).default('hide'),
  SIP_ALLOW: setting('a comma list of addresses or CIDR blocks', (value) =>
    list(value, (part) => (isAddressBlock(part) ? part : undefined)),
  ).default(PRIVATE_NETWORKS.split(',')),
  SIP_JOIN_HEADERS: setting('a comma list of header names', (value) =>
    list(value, (part) => (/^[\w.!%*+`'~-]{1,64}$/.test(part) ? part.toLowerCase() : undefined)),
  ).default([]),
  SIP_QUIET_SECONDS: integer(1, 86_400).default(1_800),
  SIP_REFUSE: setting('403 or silent', (value) =>
    (['403', 'silent'] as const).find((able) => able === value),
  ).default('403'),
  SIP_TLS_CERT: text.optional(),
  SIP_TLS_KEY: text.optional(),
  SIP_TLS_CA: text.optional(),
  SIP_DIGEST_USERS: setting('a comma list of NAME:SECRET', (value) => list(value, parseDigestUser)),
  SIP_DIGEST_REALM: setting('up to 128 visible characters', (value) =>
    /^[\x20-\x7e]{1,128}$/.test(value) ? value : undefined,
  ).default('callscribe'),
  SIP_DIGEST_ALGORITHMS: setting(
    `a comma list of ${DIGEST_ALGORITHMS.join(' and ')}, the first preferred`,
    (value) => list(value, (part) => DIGEST_ALGORITHMS.find((able) => able === part.toUpperCase())),
  ).default([...DIGEST_ALGORITHMS]),
  SIP_CONNECTIONS_PER_SOURCE: integer(1, 1_000).default(200),
  SIP_SUBSCRIPTIONS: integer(0, 5_000).default(2_000),
  SIP_SUBSCRIPTIONS_PER_SOURCE: integer(1, 5_000).default(500),
  SIP_MESSAGE_MAX_BYTES: integer(4_096, 1_048_576).default(65_536),
  MAX_CALLS_PER_SECOND: integer(1, 10_000).default(200),
  HTTP_LISTEN: setting('ADDRESS:PORT, IPv6 in brackets', parseHostPort).default({
    host: '127.0.0.1',
    port: 8080,
  }),
  API_TOKENS: setting('a comma list of NAME:SECRET or NAME:SECRET:SCOPE+SCOPE', (value) =>
    list(value, parseEnvironmentToken),
  ).default([]),
  API_CORS_ORIGINS: setting('a comma list of origins such as https://crm.example.com', (value) =>
    list(value, (part) => (URL.canParse(part) && new URL(part).origin === part ? part : undefined)),
  ).default([]),
  API_REQUESTS_PER_MINUTE: integer(1, 1_000_000).default(600),
  API_STREAMS: integer(1, 100_000).default(2_000),
  API_STREAMS_PER_TOKEN: integer(1, 100_000).default(500),
  API_STREAM_CHECK_SECONDS: integer(1, 600).default(60),
  OIDC_ISSUER: url('https://', 'http://'),
  OIDC_AUDIENCE: text.optional(),
  OIDC_TENANT_CLAIM: text.default('tenant'),
  DATA_DIR: text.default('.data'),
  OUTBOX_MAX_MB: integer(16, 1_000_000).default(2_048),
  RECORDING: setting('keep, none or memory', (value) =>
    (['keep', 'none', 'memory'] as const).find((able) => able === value),
  ).default('keep'),
  ROUTES_FILE: text.optional(),
  RECORDING_DIR: text.optional(),
  RECORDING_KEEP_DAYS: integer(1, 36_500),
  RECORDING_KEY_FILE: text.optional(),
  ROWS_KEEP_DAYS: integer(1, 36_500),
  ACCESS_LOG_KEEP_DAYS: integer(1, 36_500),
  CALL_HANGS_HOURS: integer(1, 8_760).default(24),
  WEBHOOK_ALLOW: setting('a comma list of addresses or CIDR blocks', (value) =>
    list(value, (part) => (isAddressBlock(part) ? part : undefined)),
  ).default([]),
  WEBHOOK_TIMEOUT_SECONDS: integer(1, 60).default(15),
  WEBHOOK_RETRY_HOURS: integer(1, 720).default(72),
  WEBHOOK_DISABLE_HOURS: integer(1, 8_760).default(120),
  SMTP_URL: setting('smtp://[USER:PASSWORD@]HOST[:PORT] or smtps://…', (value) =>
    URL.canParse(value) && /^smtps?:\/\/[^/]/i.test(value) && new URL(value).hostname !== ''
      ? value
      : undefined,
  ),
  MAIL_FROM: setting(
    'an address such as voicemail@example.com or Voicemail <voicemail@example.com>',
    (value) => (MAIL_ADDRESS.test(value) ? value : undefined),
  ),
  MAIL_ATTACHMENT_MAX_MB: integer(0, 100).default(10),
  MAIL_RETRY_HOURS: integer(1, 720).default(72),
  MAX_LEGS: integer(1, 100_000).default(1000),
  ROLE_RULES: setting('a JSON list of role rules (docs/sources.md)', parseRoleRules).default(
    DEFAULT_ROLE_RULES,
  ),
  DRAIN_SECONDS: integer(0, 86_400).default(30),
  LOG_LEVEL: setting(LOG_LEVELS.join(', '), (value) => LOG_LEVELS.find((level) => level === value)).default(
    'info',
  ),
});

/** A name has no colon, a secret may. */
function parseDigestUser(value: string): { name: string; secret: string } | undefined {
  const match = /^([^:\s]+):(.+)$/.exec(value);
  return match === null ? undefined : { name: match[1] ?? '', secret: match[2] ?? '' };
}

/**
 * Turns the environment into the frozen settings. An empty value counts as not set, so that `NAME=` in a file
 * means the default; 0 is a value.
 *
 * @throws {ConfigError} with every fault at once
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const set = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const result = environment.safeParse(set);
  const faults: ConfigFault[] = result.success ? [] : result.error.issues.map((issue) => toFault(issue, set));
  if (set['DRACHTIO_HOST'] !== undefined && set['DRACHTIO_SECRET'] === undefined) {
    faults.push({
      name: 'DRACHTIO_SECRET',
      found: 'nothing, though DRACHTIO_HOST is set',
      allowed: 'the secret of that drachtio-server',
    });
  }
  if (set['OIDC_ISSUER'] !== undefined && set['OIDC_AUDIENCE'] === undefined) {
    faults.push({
      name: 'OIDC_AUDIENCE',
      found: 'nothing, though OIDC_ISSUER is set',
      allowed: 'what the claim aud of its tokens for this service holds',
    });
  }
  if (set['SMTP_URL'] !== undefined && set['MAIL_FROM'] === undefined) {
    faults.push({
      name: 'MAIL_FROM',
      found: 'nothing, though SMTP_URL is set',
      allowed: 'the address that e-mails come from',
    });
  }
  faults.push(...findTlsFaults(set));
  if (!result.success || faults.length > 0) throw new ConfigError(faults);

  const value = result.data;
  const hasKey = value.DASHSCOPE_API_KEY !== undefined || value.DASHSCOPE_API_KEY_FILE !== undefined;
  return deepFreeze<Config>({
    dashscope: {
      apiKey: value.DASHSCOPE_API_KEY,
      apiKeyFile: value.DASHSCOPE_API_KEY_FILE,
      wsUrl: value.DASHSCOPE_WS_URL ?? (hasKey ? MAINLAND_WS_URL : undefined),
      // A key is not sent to the vendor where its sockets are elsewhere.
      httpUrl:
        value.DASHSCOPE_HTTP_URL ??
        (hasKey && value.DASHSCOPE_WS_URL === undefined ? MAINLAND_HTTP_URL : undefined),
      workspace: value.DASHSCOPE_WORKSPACE,
    },
    asr: {
      model: value.ASR_MODEL,
      vocabularyId: value.ASR_VOCABULARY_ID,
      startsPerSecond: value.ASR_STARTS_PER_SECOND,
      resilience: {
        catchUpRate: value.ASR_CATCH_UP_RATE,
        stallAfterMs: value.ASR_STALL_SECONDS * 1_000,
        postponeAfterMs: value.ASR_POSTPONE_SECONDS * 1_000,
        afterCallMs: value.ASR_AFTER_CALL_SECONDS * 1_000,
        renewAfterMs: value.ASR_RENEW_MINUTES * 60_000,
      },
    },
    databaseUrl: value.DATABASE_URL,
    redisUrl: value.REDIS_URL,
    drachtio:
      value.DRACHTIO_HOST === undefined
        ? undefined
        : { host: value.DRACHTIO_HOST, port: value.DRACHTIO_PORT, secret: value.DRACHTIO_SECRET ?? '' },
    sip: {
      listen: value.SIP_LISTEN,
      allow: value.SIP_ALLOW,
      strangers: value.SIP_REFUSE,
      tls:
        value.SIP_TLS_CERT === undefined || value.SIP_TLS_KEY === undefined
          ? undefined
          : { certFile: value.SIP_TLS_CERT, keyFile: value.SIP_TLS_KEY, caFile: value.SIP_TLS_CA },
      digest:
        value.SIP_DIGEST_USERS === undefined
          ? undefined
          : {
              realm: value.SIP_DIGEST_REALM,
              users: value.SIP_DIGEST_USERS,
              algorithms: value.SIP_DIGEST_ALGORITHMS,
            },
      callsPerSecond: value.MAX_CALLS_PER_SECOND,
      connectionsPerSource: value.SIP_CONNECTIONS_PER_SOURCE,
      subscriptions: { max: value.SIP_SUBSCRIPTIONS, perSourceMax: value.SIP_SUBSCRIPTIONS_PER_SOURCE },
      messageMaxBytes: value.SIP_MESSAGE_MAX_BYTES,
      joinHeaders: value.SIP_JOIN_HEADERS,
      quietLimitMs: value.SIP_QUIET_SECONDS * 1_000,
    },
    rtp: {
      address: value.RTP_ADDRESS,
      advertisedAddress: value.RTP_ADVERTISED_ADDRESS,
      ...value.RTP_PORTS,
      silentAfterMs: value.MEDIA_SILENT_SECONDS * 1_000,
      dtmfDigits: value.DTMF_DIGITS,
    },
    http: value.HTTP_LISTEN,
    api: {
      tokens: value.API_TOKENS,
      corsOrigins: value.API_CORS_ORIGINS,
      requestsPerMinute: value.API_REQUESTS_PER_MINUTE,
      streams: {
        max: value.API_STREAMS,
        maxPerCredential: value.API_STREAMS_PER_TOKEN,
        checkEveryMs: value.API_STREAM_CHECK_SECONDS * 1_000,
      },
      oidc:
        value.OIDC_ISSUER === undefined
          ? undefined
          : {
              issuer: value.OIDC_ISSUER,
              audience: value.OIDC_AUDIENCE ?? '',
              tenantClaim: value.OIDC_TENANT_CLAIM,
            },
    },
    dataDir: value.DATA_DIR,
    outboxMaxBytes: value.OUTBOX_MAX_MB * 1_048_576,
    rows: {
      keepDays: value.ROWS_KEEP_DAYS,
      keepReadsDays: value.ACCESS_LOG_KEEP_DAYS,
      giveUpAfterMs: value.CALL_HANGS_HOURS * 3_600_000,
    },
    recording: {
      directory: value.RECORDING_DIR ?? join(value.DATA_DIR, 'recordings'),
      policy: value.RECORDING === 'none' ? 'spool' : value.RECORDING,
      keepDays: value.RECORDING_KEEP_DAYS,
      keyFile: value.RECORDING_KEY_FILE ?? join(value.DATA_DIR, 'spool.key'),
    },
    webhooks: {
      allow: value.WEBHOOK_ALLOW,
      timeoutMs: value.WEBHOOK_TIMEOUT_SECONDS * 1_000,
      retryForMs: value.WEBHOOK_RETRY_HOURS * 3_600_000,
      disableAfterMs: value.WEBHOOK_DISABLE_HOURS * 3_600_000,
    },
    mail:
      value.SMTP_URL === undefined
        ? undefined
        : {
            smtpUrl: value.SMTP_URL,
            from: value.MAIL_FROM ?? '',
            attachmentMaxBytes: value.MAIL_ATTACHMENT_MAX_MB * 1_048_576,
            retryForMs: value.MAIL_RETRY_HOURS * 3_600_000,
          },
    routesFile: value.ROUTES_FILE,
    maxLegs: value.MAX_LEGS,
    roleRules: value.ROLE_RULES,
    drainTimeoutMs: value.DRAIN_SECONDS * 1000,
    logLevel: value.LOG_LEVEL,
  });
}

/** A TLS address needs a certificate, and a certificate its key. */
function findTlsFaults(env: Readonly<Record<string, string | undefined>>): ConfigFault[] {
  const listens = /(^|,)\s*tls:/.test(env['SIP_LISTEN'] ?? '');
  const isWanted =
    listens || ['SIP_TLS_CERT', 'SIP_TLS_KEY', 'SIP_TLS_CA'].some((name) => env[name] !== undefined);
  const missing = isWanted ? ['SIP_TLS_CERT', 'SIP_TLS_KEY'].filter((name) => env[name] === undefined) : [];
  return missing.map((name) => ({
    name,
    found: `nothing, though ${listens ? 'SIP_LISTEN names a tls: address' : 'another SIP_TLS setting is there'}`,
    allowed: name === 'SIP_TLS_CERT' ? 'a PEM file with the certificate' : 'a PEM file with its private key',
  }));
}

function toFault(issue: z.core.$ZodIssue, env: Readonly<Record<string, string | undefined>>): ConfigFault {
  const name = issue.path.join('.');
  const value = env[name] ?? '';
  const found = SECRET_NAMES.has(name) ? `[secret], ${value.length} characters` : JSON.stringify(value);
  return { name, found, allowed: issue.message };
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) deepFreeze(inner as object);
  }
  return Object.freeze(value);
}
