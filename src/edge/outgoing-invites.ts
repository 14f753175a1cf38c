import type { ClientTransaction } from '../sipstack/client-transaction.ts';
import type { SipRequest } from '../sipstack/message.ts';
import type { Transactions } from '../sipstack/transactions.ts';
import { cancelOf } from './cancel.ts';

/** `wanted` is a CANCEL that waits for the first provisional response, since it may not go out before. */
interface OutgoingInvite {
  readonly transaction: ClientTransaction;
  isRinging: boolean;
  wanted: SipRequest | undefined;
}

/** INVITEs of the app without a final response, which it may still cancel, by transaction id. RFC 3261 §9.1. */
export class OutgoingInvites {
  readonly #transactions: Transactions;
  readonly #open = new Map<string, OutgoingInvite>();

  constructor(transactions: Transactions) {
    this.#transactions = transactions;
  }

  add(transactionId: string, transaction: ClientTransaction): void {
    this.#open.set(transactionId, { transaction, isRinging: false, wanted: undefined });
  }

  /** A response came in. */
  onStatus(transactionId: string, status: number): void {
    if (status >= 200) this.#open.delete(transactionId);
    const invite = this.#open.get(transactionId);
    if (invite === undefined) return;
    invite.isRinging = true;
    this.#sendWanted(invite);
  }

  /** @returns the CANCEL, sent or to be sent, and the INVITE's transaction; `undefined` where there is nothing to cancel */
  cancel(
    transactionId: string,
    written?: SipRequest,
  ): { readonly cancel: SipRequest; readonly transaction: ClientTransaction } | undefined {
    const invite = this.#open.get(transactionId);
    if (invite === undefined) return undefined;
    const cancel = cancelOf(invite.transaction.request, written);
    invite.wanted = cancel;
    if (invite.isRinging) this.#sendWanted(invite);
    return { cancel, transaction: invite.transaction };
  }

  /** Cancels the INVITE of that transaction, if it is still open. */
  abandon(transaction: ClientTransaction): void {
    for (const [transactionId, invite] of this.#open) {
      if (invite.transaction === transaction) this.cancel(transactionId);
    }
  }

  #sendWanted(invite: OutgoingInvite): void {
    const { transaction, wanted } = invite;
    if (wanted === undefined) return;
    invite.wanted = undefined;
    // The 487 to the INVITE is the answer that counts.
    this.#transactions.request(wanted, transaction.flow, () => undefined, transaction.branch);
  }
}
