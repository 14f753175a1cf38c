import { setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from '../log.ts';
import { composeMail, type MailFacts, type MailSound } from './compose.ts';
import type { SendMail } from './sender.ts';
import { judgeMail, type MailPolicy, type MailStanding, type MailVerdict } from './verdict.ts';

/** An e-mail that is ours for a while. */
export interface ClaimedMail extends MailStanding, Pick<MailFacts, 'mailId' | 'recipient' | 'voicemail'> {
  /** `deleted`: nobody is to be told of the message any more. */
  readonly state: 'new' | 'heard' | 'deleted';
}

/** What the mailer needs of the rows. Rejections are those of the store. */
export interface MailStore {
  claim(): Promise<ClaimedMail | undefined>;
  settle(mailId: string, verdict: MailVerdict): Promise<void>;
  drop(mailId: string): Promise<void>;
}

export interface MailerOptions {
  readonly store: MailStore;
  /** Undefined: no mail server is configured. */
  readonly send: SendMail | undefined;
  readonly from: string;
  /** @throws where it cannot be read now and may be later */
  readonly soundOf: (mail: ClaimedMail) => Promise<MailSound>;
  readonly policy: MailPolicy;
  readonly backoffMs: (attempts: number) => number;
  readonly logger: Logger;
  readonly onVerdict?: (outcome: MailOutcomeName) => void;
}

export type MailOutcomeName = MailVerdict['kind'] | 'dropped';

/** What came of a look for an e-mail to send. */
export type MailTurn =
  | { readonly kind: 'sent' | 'nothing-due' }
  /** The mail server does not answer anybody: leave it alone for so long. */
  | { readonly kind: 'server-away'; readonly pauseMs: number };

/** Sends the next e-mail that is due, where there is one. @throws what the store throws */
export async function sendNextMail(options: MailerOptions): Promise<MailTurn> {
  const { store, onVerdict, logger } = options;
  const mail = await store.claim();
  if (mail === undefined) return { kind: 'nothing-due' };
  if (mail.state === 'deleted') {
    await store.drop(mail.mailId);
    onVerdict?.('dropped');
    return { kind: 'sent' };
  }
  const verdict = await attempt(options, mail);
  await store.settle(mail.mailId, verdict);
  onVerdict?.(verdict.kind);
  report(logger, mail, verdict);
  return verdict.kind === 'postpone' && verdict.because === 'server'
    ? { kind: 'server-away', pauseMs: verdict.pauseMs }
    : { kind: 'sent' };
}

async function attempt(options: MailerOptions, mail: ClaimedMail): Promise<MailVerdict> {
  const { send, from, soundOf, policy, backoffMs } = options;
  if (send === undefined) return { kind: 'bury', failure: 'no mail server is configured (SMTP_URL)' };
  const outcome = await soundOf(mail).then(
    (sound) => send(composeMail({ ...mail, from, sound })),
    () => ({ kind: 'deferred', failure: 'the recording cannot be read' }) as const,
  );
  return judgeMail(outcome, mail, policy, backoffMs);
}

function report(logger: Logger, { mailId, voicemail, attempts }: ClaimedMail, verdict: MailVerdict): void {
  if (verdict.kind === 'delivered') return;
  const facts = { mailId, callId: voicemail.callId, attempts, failure: verdict.failure };
  if (verdict.kind === 'bury') logger.error(facts, 'an e-mail about a message goes to the dead letters');
  else if (attempts === 1) {
    logger.warn(facts, 'an e-mail about a message could not be sent; it is tried again');
  } else logger.debug(facts, 'an e-mail about a message could not be sent; it is tried again');
}

export interface MailerLoop {
  /** Between two looks where nothing was due, and after a failure of the store, at first. */
  readonly lookEveryMs: number;
  readonly lookAtLeastEveryMs: number;
  readonly onStoreFailed: (thrown: unknown) => void;
  readonly onStoreWorked: () => void;
}

/** Sends what is due, one after the other, until `closing` is aborted. Never rejects. */
export async function runMailer(
  options: MailerOptions,
  loop: MailerLoop,
  closing: AbortSignal,
): Promise<void> {
  const { lookEveryMs, lookAtLeastEveryMs, onStoreFailed, onStoreWorked } = loop;
  let storeFailures = 0;
  while (!closing.aborted) {
    let pauseMs = lookEveryMs;
    try {
      const turn = await sendNextMail(options);
      storeFailures = 0;
      onStoreWorked();
      if (turn.kind === 'sent') continue;
      if (turn.kind === 'server-away') pauseMs = Math.min(lookAtLeastEveryMs, turn.pauseMs);
    } catch (thrown) {
      storeFailures += 1;
      onStoreFailed(thrown);
      pauseMs = Math.min(lookAtLeastEveryMs, lookEveryMs * 2 ** Math.min(storeFailures, 20));
    }
    await sleep(pauseMs, undefined, { signal: closing }).catch(() => undefined);
  }
}
