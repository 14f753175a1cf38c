import { setTimeout as sleep } from 'node:timers/promises';

import { systemClock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import { CallscribeError } from '../src/errors.ts';
import type { Logger } from '../src/log.ts';
import type { MailSound } from '../src/mail/compose.ts';
import { type ClaimedMail, runMailer } from '../src/mail/mailer.ts';
import { createMailSender } from '../src/mail/sender.ts';
import { MAIL_POLICY, type MailPolicy } from '../src/mail/verdict.ts';
import { type Metrics, observe } from '../src/metrics.ts';
import { backoffMs } from '../src/queue/backoff.ts';
import { Outage } from '../src/queue/outage.ts';
import { openExcerpt } from '../src/recording/excerpt.ts';
import { purgeDeadMails } from '../src/store/dead-mails.ts';
import { loadVoicemailSound } from '../src/store/load-voicemail-sound.ts';
import { type Pool, toStoreError } from '../src/store/pool.ts';
import {
  claimMail,
  dropMail,
  loadMailHealth,
  type MailHealth,
  settleMail,
} from '../src/store/voicemail-mails.ts';
import { within } from '../src/within.ts';
import type { Role } from './role-type.ts';

export interface MailsDeps {
  /** Migrated; the caller ends it after this. */
  readonly pool: Pool;
  readonly config: Pick<Config, 'mail' | 'recording'>;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  /** Default: {@link MAIL_POLICY}. */
  readonly backoff?: MailPolicy['backoff'];
}

/** For the connection, and for each answer of the mail server. */
const TIMEOUT_MS = 15_000;
/** Connecting, a dozen answers, and the largest recording over a slow line. */
const LEASE_MS = 600_000;
const LOOK_EVERY_MS = 1_000;
const LOOK_AT_LEAST_EVERY_MS = 30_000;
/** What an e-mail under way may still take at the end. Beyond it, it comes again when its lease is over. */
const CLOSE_MAX_MS = 5_000;
const LOOK_AFTER_EVERY_MS = 60_000;
const DEAD_KEEP_DAYS = 30;

/** Sends the e-mails about messages. Without a mail server each becomes a dead letter that says so. */
export function startMails(deps: MailsDeps): Role {
  const { pool, config, logger, metrics, backoff = MAIL_POLICY.backoff } = deps;
  const { mail, recording } = config;
  const closing = new AbortController();
  const storeOutage = new Outage(logger, { service: 'store', queue: 'mails' }, () =>
    systemClock.monotonicMs(),
  );
  const mailer = {
    store: {
      claim: () => claimMail(pool, LEASE_MS),
      settle: settleMail.bind(undefined, pool),
      drop: dropMail.bind(undefined, pool),
    },
    send: mail && createMailSender({ url: mail.smtpUrl, timeoutMs: TIMEOUT_MS }),
    from: mail?.from ?? '',
    soundOf: (claimed: ClaimedMail) =>
      loadSound(
        pool,
        { recordingDir: recording.directory, maxBytes: mail?.attachmentMaxBytes ?? 0 },
        claimed,
      ),
    policy: { ...MAIL_POLICY, ...mail },
    backoffMs: (attempts: number) => backoffMs(attempts, Math.random(), backoff),
    logger,
    onVerdict: (outcome: string) => metrics?.voicemailMails.inc({ outcome }),
  };
  const loop = {
    lookEveryMs: LOOK_EVERY_MS,
    lookAtLeastEveryMs: LOOK_AT_LEAST_EVERY_MS,
    onStoreFailed: (thrown: unknown) => {
      storeOutage.failed(toStoreError(thrown));
    },
    onStoreWorked: () => {
      storeOutage.worked();
    },
  };
  const running = Promise.all([runMailer(mailer, loop, closing.signal), lookAfter(deps, closing.signal)]);
  return {
    name: 'mails',
    close: async () => {
      closing.abort();
      await within(CLOSE_MAX_MS, running);
    },
  };
}

interface SoundLimits {
  readonly recordingDir: string;
  readonly maxBytes: number;
}

/** @throws {CallscribeError} RECORDING_STORAGE @throws what `pg` throws */
async function loadSound(
  pool: Pool,
  { recordingDir, maxBytes }: SoundLimits,
  { voicemail }: ClaimedMail,
): Promise<MailSound> {
  const place = await loadVoicemailSound(pool, voicemail.callId);
  if (place === undefined) return { kind: 'none' };
  try {
    const excerpt = await openExcerpt(recordingDir, place);
    if (excerpt.bytes > maxBytes) return { kind: 'large' };
    return { kind: 'wav', wav: Buffer.concat(await excerpt.read(0, excerpt.bytes).toArray()) };
  } catch (thrown) {
    if (thrown instanceof CallscribeError && thrown.code === 'RECORDING_ABSENT') return { kind: 'elsewhere' };
    if (thrown instanceof CallscribeError && thrown.code === 'RECORDING_MALFORMED') return { kind: 'none' };
    throw thrown;
  }
}

/** Figures for whoever watches, and dead e-mails beyond their time. */
async function lookAfter({ pool, metrics, logger }: MailsDeps, closing: AbortSignal): Promise<void> {
  let health: MailHealth | undefined;
  if (metrics !== undefined) showHealth(metrics, () => health);
  while (!closing.aborted) {
    try {
      await purgeDeadMails(pool, DEAD_KEEP_DAYS);
      health = await loadMailHealth(pool);
    } catch (thrown) {
      health = undefined;
      logger.debug({ err: toStoreError(thrown) }, 'the figures of e-mails cannot be read');
    }
    await sleep(LOOK_AFTER_EVERY_MS, undefined, { signal: closing }).catch(() => undefined);
  }
}

/** Of the last look; not a number where it failed. */
function showHealth(metrics: Metrics, read: () => MailHealth | undefined): void {
  const show = (name: keyof MailHealth, metric: string, help: string): void => {
    observe(metrics, `callscribe_voicemail_mails_${metric}`, help, () => read()?.[name] ?? Number.NaN);
  };
  show('waiting', 'waiting', 'e-mails that wait to be sent');
  show('oldestSeconds', 'oldest_seconds', 'how long the oldest of them waits');
  show('dead', 'dead', 'e-mails that were given up (npm run dead-letters)');
}
