import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import type { MessageCounts } from './message-summary.ts';
import {
  type Notify,
  NOTIFY_PACE,
  type NotifyOutcome,
  type NotifyPace,
  Subscription,
} from './subscription.ts';

/** A mailbox whose counts a peer may know. */
export interface WaitingMailbox {
  /** Tells the counts: in this turn where they are known, and whenever they are others. */
  follow(onCounts: (counts: MessageCounts) => void): {
    /** Looks whether they are still right. */
    ask(): void;
    stop(): void;
  };
}

export interface SubscriptionsOptions {
  /** At once; whoever asks for more is refused. */
  readonly max: number;
  readonly perSourceMax: number;
  readonly onNotify: (outcome: NotifyOutcome) => void;
  readonly pace?: NotifyPace;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface NewSubscription {
  /** As the edge names it; it has one subscription. */
  readonly dialogId: string;
  readonly peerAddress: string;
  /** The Event header of its NOTIFYs. */
  readonly event: string;
  readonly mailbox: WaitingMailbox;
  /** Whether there still is that mailbox for that peer: the rules may change. */
  readonly isThere: () => boolean;
  /** See {@link Subscription}. */
  readonly send: (notify: Notify) => Promise<number>;
}

/** A subscription, and what a later SUBSCRIBE is compared with. */
export interface OpenSubscription {
  readonly subscription: Subscription;
  readonly event: string;
  readonly peerAddress: string;
  readonly isThere: () => boolean;
  /** Looks whether the counts are still right. */
  ask(): void;
}

const CLOSE_WITHIN_MS = 2_000;

/** The subscriptions of this process, in bounds. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #byDialog = new Map<string, OpenSubscription>();

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#byDialog.size;
  }

  find(dialogId: string): OpenSubscription | undefined {
    return this.#byDialog.get(dialogId);
  }

  hasRoomFor(peerAddress: string): boolean {
    const { max, perSourceMax } = this.#options;
    if (this.#byDialog.size >= max) return false;
    const ofSource = [...this.#byDialog.values()].filter((open) => open.peerAddress === peerAddress);
    return ofSource.length < perSourceMax;
  }

  /** Takes its place and follows its mailbox; the first NOTIFY waits until it is `accepted`. */
  open({ dialogId, peerAddress, event, mailbox, isThere, send }: NewSubscription): OpenSubscription {
    const { onNotify, pace = NOTIFY_PACE, clock, logger } = this.#options;
    const subscription = new Subscription({
      send,
      onOutcome: onNotify,
      onOver: () => {
        following.stop();
        if (this.#byDialog.get(dialogId) === open) this.#byDialog.delete(dialogId);
      },
      pace,
      clock,
      logger,
    });
    const following = mailbox.follow((counts) => {
      subscription.changed(counts);
    });
    const open: OpenSubscription = {
      subscription,
      event,
      peerAddress,
      isThere,
      ask: () => {
        following.ask();
      },
    };
    this.#byDialog.set(dialogId, open);
    return open;
  }

  /** Tells every peer that its subscription is over, and that it may subscribe anew elsewhere. Bounded; never rejects. */
  async close(): Promise<void> {
    const open = [...this.#byDialog.values()];
    await within(
      CLOSE_WITHIN_MS,
      Promise.all(open.map(({ subscription }) => subscription.end('deactivated'))),
    );
    for (const { subscription } of open) subscription.close();
  }
}
