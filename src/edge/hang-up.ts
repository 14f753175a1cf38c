import type { Clock } from '../clock.ts';
import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { formatSipMessage } from '../sipstack/message.ts';
import type { Transactions } from '../sipstack/transactions.ts';
import type { Calls } from './calls.ts';
import { type Dialog, dialogRequest } from './dialog.ts';
import type { NextHop } from './next-hop.ts';
import { encodeKnown, metaOfRequest } from './wire-message.ts';

export interface HangUpOptions {
  readonly calls: Calls;
  readonly transactions: Transactions;
  readonly nextHop: NextHop;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Why the edge ends a call by itself; the texts are those of drachtio-server. */
export type HangUpReason = 'ACK timeout' | 'Session timer expired';

/** Ends a call in the edge's own name: BYE to the peer, and the same BYE to the app, which need not answer it. */
export class HangUp {
  readonly #options: HangUpOptions;

  constructor(options: HangUpOptions) {
    this.#options = options;
  }

  async now(dialog: Dialog, reason: HangUpReason): Promise<void> {
    const { calls, transactions, nextHop, clock, logger } = this.#options;
    if (dialog.state === 'ended') return;
    calls.end(dialog);
    logger.info({ reason }, 'edge hangs up');
    const bye = dialogRequest(dialog, 'BYE', {
      headers: [{ name: 'Reason', value: `SIP;cause=200;text="${reason}"` }],
    });
    let sent = bye;
    let flow = dialog.flow;
    try {
      flow = await nextHop.inDialog(dialog);
      // Nobody is left who wants to know what comes back.
      sent = transactions.request(bye, flow, () => undefined).request;
    } catch (thrown) {
      logger.warn({ err: toError(thrown) }, 'edge found no way for its BYE');
    }
    const bytes = formatSipMessage(sent);
    const meta = metaOfRequest(bytes, flow, clock.wallTime());
    dialog.client.send(encodeKnown(meta, { transactionId: 'unsolicited', dialogId: dialog.id }, bytes));
  }
}
