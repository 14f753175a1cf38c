import type { Bus } from '../src/bus/bus.ts';
import type { Clock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import type { Metrics } from '../src/metrics.ts';
import type { SipListenerOptions } from '../src/sip/listener.ts';
import { MailboxCounts } from '../src/voicemail/mailbox-counts.ts';
import type { CallRoutes } from './routes.ts';

export interface MessageWaitingDeps {
  readonly config: Pick<Config, 'sip'>;
  readonly routes: CallRoutes;
  readonly bus: Bus;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

/** What phones are told of, and how it ends; `subscriptions` is undefined where there are no mailboxes. */
export interface MessageWaiting {
  readonly subscriptions: SipListenerOptions['subscriptions'];
  close(): Promise<void>;
}

/** @throws {CallscribeError} BUS_UNREACHABLE */
export async function openMessageWaiting(deps: MessageWaitingDeps): Promise<MessageWaiting> {
  const { config, bus, metrics, clock } = deps;
  const { findMailbox } = deps.routes;
  const limits = config.sip.subscriptions;
  if (findMailbox === undefined || limits.max === 0) {
    return { subscriptions: undefined, close: () => Promise.resolve() };
  }
  const counts = await MailboxCounts.open(bus);
  return {
    subscriptions: {
      ...limits,
      findMailbox: (request) => {
        const address = findMailbox(request);
        return address && { follow: (onCounts) => counts.follow(address, onCounts) };
      },
      onAnswered: (status) => {
        metrics.subscribes.inc({ status: String(status) });
      },
      onNotify: (outcome) => {
        metrics.notifies.inc({ outcome });
      },
      clock,
    },
    close: () => counts.close(),
  };
}
