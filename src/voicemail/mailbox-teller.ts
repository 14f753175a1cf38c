import type { Bus } from '../bus/bus.ts';
import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import {
  MAILBOX_QUESTIONS,
  type MailboxAddress,
  type MailboxNews,
  readMailboxQuestion,
  tellMailboxNews,
} from './mailbox-news.ts';

export interface MailboxTellerOptions {
  readonly bus: Pick<Bus, 'publish' | 'subscribe'>;
  /** Reads how it stands now. */
  readonly count: (address: MailboxAddress) => Promise<MailboxNews>;
  readonly logger: Logger;
}

/** Mailboxes that wait to be counted; beyond it those that come are left out, and whoever asked asks again. */
const WAITING_MAX = 10_000;

/** Counts mailboxes that changed or are asked for, one after the other and each once for all who wait, and tells. */
export class MailboxTeller {
  readonly #options: MailboxTellerOptions;
  readonly #waiting = new Map<string, MailboxAddress>();
  #telling: Promise<void> | undefined;
  #unsubscribe: () => Promise<void> = () => Promise.resolve();
  #isClosed = false;

  constructor(options: MailboxTellerOptions) {
    this.#options = options;
  }

  /** Answers questions from the bus, too. @throws {CallscribeError} BUS_UNREACHABLE */
  async serve(): Promise<void> {
    this.#unsubscribe = await this.#options.bus.subscribe(MAILBOX_QUESTIONS, {
      onMessage: (message) => {
        const address = readMailboxQuestion(message);
        if (address !== undefined) this.tell(address);
      },
      // Whoever asked asks again.
      onLost: () => undefined,
    });
  }

  /** Call it after the commit. Returns at once. */
  tell({ tenant, mailbox }: MailboxAddress): void {
    if (this.#isClosed || this.#waiting.size >= WAITING_MAX) return;
    this.#waiting.set(JSON.stringify([tenant, mailbox]), { tenant, mailbox });
    // In the next turn, so that what changed in this one is counted together.
    this.#telling ??= Promise.resolve().then(() => this.#tellAll());
  }

  /** What waits is told first. May be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#unsubscribe();
    await this.#telling;
  }

  /** Never rejects. */
  async #tellAll(): Promise<void> {
    const { bus, count, logger } = this.#options;
    for (const [key, address] of this.#waiting) {
      // What changes from here on is counted again.
      this.#waiting.delete(key);
      try {
        tellMailboxNews(bus, await count(address));
      } catch (thrown) {
        logger.warn(
          { err: toError(thrown) },
          'a mailbox could not be counted; nobody is told that it changed',
        );
      }
    }
    this.#telling = undefined;
  }
}
