import type { Bus } from '../bus/bus.ts';
import {
  askForMailbox,
  isNewer,
  MAILBOX_NEWS,
  type MailboxAddress,
  type MailboxNews,
  readMailboxNews,
} from './mailbox-news.ts';

/** A mailbox that somebody follows. */
interface FollowedMailbox {
  readonly address: MailboxAddress;
  readonly followers: Set<(news: MailboxNews) => void>;
  news: MailboxNews | undefined;
}

/** One who follows a mailbox. */
export interface Following {
  /** Asks for the counts, which may have changed without news: whoever changes them may die before it tells. */
  ask(): void;
  stop(): void;
}

/** Questions that were not answered are asked again so often, and so many of them at once. */
const ASK_AGAIN_MS = 2_000;
const ASKED_AGAIN_MAX = 100;

/** The counts of the mailboxes that somebody follows, as the bus tells them. As many are kept as are followed. */
export class MailboxCounts {
  readonly #bus: Pick<Bus, 'publish'>;
  readonly #mailboxes = new Map<string, FollowedMailbox>();
  /** Those asked longest ago come first. */
  readonly #unanswered = new Set<FollowedMailbox>();
  readonly #again: NodeJS.Timeout;
  #unsubscribe: () => Promise<void> = () => Promise.resolve();

  private constructor(bus: Pick<Bus, 'publish'>, askAgainMs: number) {
    this.#bus = bus;
    this.#again = setInterval(() => {
      for (const mailbox of [...this.#unanswered].slice(0, ASKED_AGAIN_MAX)) this.#ask(mailbox);
    }, askAgainMs);
    this.#again.unref();
  }

  /** @throws {CallscribeError} BUS_UNREACHABLE */
  static async open(
    bus: Pick<Bus, 'publish' | 'subscribe'>,
    { askAgainMs = ASK_AGAIN_MS }: { readonly askAgainMs?: number } = {},
  ): Promise<MailboxCounts> {
    const counts = new MailboxCounts(bus, askAgainMs);
    try {
      counts.#unsubscribe = await bus.subscribe(MAILBOX_NEWS, {
        onMessage: (message) => {
          counts.#onMessage(message);
        },
        onLost: () => {
          for (const mailbox of counts.#mailboxes.values()) counts.#unanswered.add(mailbox);
        },
      });
    } catch (error) {
      clearInterval(counts.#again);
      throw error;
    }
    return counts;
  }

  /** @param onNews told in this turn where the counts are known, then whenever they are others */
  follow(address: MailboxAddress, onNews: (news: MailboxNews) => void): Following {
    const key = keyOf(address);
    const mailbox = this.#mailboxes.get(key) ?? { address, followers: new Set(), news: undefined };
    this.#mailboxes.set(key, mailbox);
    mailbox.followers.add(onNews);
    if (mailbox.news !== undefined) onNews(mailbox.news);
    this.#ask(mailbox);
    return {
      ask: () => {
        this.#ask(mailbox);
      },
      stop: () => {
        mailbox.followers.delete(onNews);
        if (mailbox.followers.size > 0) return;
        this.#unanswered.delete(mailbox);
        if (this.#mailboxes.get(key) === mailbox) this.#mailboxes.delete(key);
      },
    };
  }

  #ask(mailbox: FollowedMailbox): void {
    if (mailbox.followers.size === 0) return;
    this.#unanswered.delete(mailbox);
    this.#unanswered.add(mailbox);
    askForMailbox(this.#bus, mailbox.address);
  }

  #onMessage(message: string): void {
    const news = readMailboxNews(message);
    const mailbox = news === undefined ? undefined : this.#mailboxes.get(keyOf(news));
    if (news === undefined || mailbox === undefined) return;
    this.#unanswered.delete(mailbox);
    const last = mailbox.news;
    if (!isNewer(news, last)) return;
    mailbox.news = news;
    if (last?.newCount === news.newCount && last.heardCount === news.heardCount) return;
    for (const tell of mailbox.followers) tell(news);
  }

  async close(): Promise<void> {
    clearInterval(this.#again);
    await this.#unsubscribe();
  }
}

const keyOf = ({ tenant, mailbox }: MailboxAddress): string => JSON.stringify([tenant, mailbox]);
