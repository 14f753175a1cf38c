import { z } from 'zod';

import type { Bus } from '../bus/bus.ts';
import { readMessage } from '../bus/read-message.ts';

/** A mailbox: its name is one within its tenant. */
export interface MailboxAddress {
  readonly tenant: string;
  readonly mailbox: string;
}

/** How many messages wait in a mailbox; those that are short or empty, or deleted, do not count. */
export interface MailboxNews extends MailboxAddress {
  readonly newCount: number;
  readonly heardCount: number;
  /** The database's clock, RFC 3339 in microseconds. Of two news of a mailbox the one with the greater is the newer. */
  readonly asOf: string;
}

/**
 * Counts of mailboxes: told by whoever changed one, after the commit, and by the calls role to whoever asked. Those who
 * listen may get the same twice, or an older one after a newer ({@link isNewer}).
 */
export const MAILBOX_NEWS = 'mailbox_news';
/**
 * Questions for the counts of one mailbox, answered on {@link MAILBOX_NEWS}; a mailbox without messages has zeros. The
 * bus may lose question or answer: ask again until there is one.
 */
export const MAILBOX_QUESTIONS = 'mailbox_questions';

/** Does nothing where the bus is away; those who listen are told by it that they missed something, and ask. */
export function tellMailboxNews(bus: Pick<Bus, 'publish'>, news: MailboxNews): void {
  bus.publish(MAILBOX_NEWS, JSON.stringify(news));
}

export function askForMailbox(bus: Pick<Bus, 'publish'>, { tenant, mailbox }: MailboxAddress): void {
  bus.publish(MAILBOX_QUESTIONS, JSON.stringify({ tenant, mailbox } satisfies MailboxAddress));
}

/** Whether the first is to take the place of the second. */
export const isNewer = (news: MailboxNews, than: MailboxNews | undefined): boolean =>
  than === undefined || news.asOf > than.asOf;

const name = z.string().min(1).max(200);
const address: z.ZodType<MailboxAddress> = z.object({ tenant: name, mailbox: name });
const count = z.int().min(0);
const news: z.ZodType<MailboxNews> = z.object({
  tenant: name,
  mailbox: name,
  newCount: count,
  heardCount: count,
  asOf: z.iso.datetime({ precision: 6 }),
});

/** @returns undefined for what is no news of this version */
export const readMailboxNews = (message: string): MailboxNews | undefined => readMessage(news, message);

/** @returns undefined for what is no question of this version */
export const readMailboxQuestion = (message: string): MailboxAddress | undefined =>
  readMessage(address, message);
