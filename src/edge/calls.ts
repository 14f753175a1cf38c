import type { SipHeader } from '../sipstack/message.ts';
import { reply } from '../sipstack/reply.ts';
import type { RespondOutcome, ServerTransaction } from '../sipstack/server-transaction.ts';
import type { AppClient } from './app-client.ts';
import { type Dialog, dialogIdOf, type DialogTags } from './dialog.ts';

/** A request from the network that is with the app. */
export interface Pending {
  /** The name under which app and edge speak about it. */
  readonly transactionId: string;
  readonly transaction: ServerTransaction;
  readonly client: AppClient;
  readonly dialog: Dialog | undefined;
}

const DIALOGS_MAX = 10_000;
const ORPHAN_MAX_MS = 3_600_000;

/**
 * What is going on: requests that wait for the app, and dialogs. Bounds: every pending request has a deadline, after which
 * it is answered 500 (sofia-sip does that when a request is dropped without an answer); `DIALOGS_MAX` dialogs.
 */
export class Calls {
  readonly #pending = new Map<string, Pending>();
  readonly #deadlines = new Map<string, NodeJS.Timeout>();
  readonly #idsOf = new WeakMap<ServerTransaction, string>();
  readonly #dialogs = new Map<string, Dialog>();

  get counts(): { readonly pending: number; readonly dialogs: number } {
    return { pending: this.#pending.size, dialogs: this.#dialogs.size };
  }

  get isFull(): boolean {
    return this.#dialogs.size >= DIALOGS_MAX;
  }

  /** Waits for the app's answer until `deadlineMs` have passed. */
  open(pending: Pending, deadlineMs: number): void {
    this.#pending.set(pending.transactionId, pending);
    this.#idsOf.set(pending.transaction, pending.transactionId);
    this.extend(pending, deadlineMs);
  }

  /** Sets the deadline anew. */
  extend(pending: Pending, deadlineMs: number): void {
    const { transactionId } = pending;
    clearTimeout(this.#deadlines.get(transactionId));
    const onDeadline = (): void => {
      this.giveUp(pending, 500, 'Internal Server Error');
    };
    this.#deadlines.set(transactionId, setTimeout(onDeadline, deadlineMs));
  }

  pending(transactionId: string): Pending | undefined {
    return this.#pending.get(transactionId);
  }

  pendingOf(transaction: ServerTransaction): Pending | undefined {
    return this.#pending.get(this.#idsOf.get(transaction) ?? '');
  }

  /** The app has answered for good; the entry stays until {@link close}, so that a second answer can be told apart. */
  settle(pending: Pending): void {
    clearTimeout(this.#deadlines.get(pending.transactionId));
    this.#deadlines.delete(pending.transactionId);
  }

  close(pending: Pending): void {
    this.settle(pending);
    this.#pending.delete(pending.transactionId);
  }

  /** Answers in the app's place, and takes back the dialog that an INVITE would have become. */
  giveUp(pending: Pending, status: number, reason: string): void {
    this.close(pending);
    answer(pending.transaction, status, reason, pending.dialog);
    const { dialog } = pending;
    if (
      dialog !== undefined &&
      dialog.state !== 'confirmed' &&
      pending.transactionId === dialog.transactionId
    ) {
      this.end(dialog);
    }
  }

  add(dialog: Dialog): void {
    this.#dialogs.set(dialog.id, dialog);
  }

  dialog(id: string): Dialog | undefined {
    return this.#dialogs.get(id);
  }

  /** The dialog that a request from the network means: whichever side had sent its INVITE. */
  find({ callId, fromTag, toTag }: DialogTags): Dialog | undefined {
    const theirs = this.#dialogs.get(dialogIdOf(callId, fromTag));
    if (theirs?.role === 'uas' && theirs.localTag === toTag) return theirs;
    const ours = this.#dialogs.get(dialogIdOf(callId, toTag ?? ''));
    return ours?.role === 'uac' && ours.remoteTag === fromTag ? ours : undefined;
  }

  /** The dialog is over. What else waits in it is answered 487 (RFC 3261 §15.1.2), save `except`. */
  end(dialog: Dialog, except?: Pending): void {
    if (this.#dialogs.get(dialog.id) === dialog) this.#dialogs.delete(dialog.id);
    dialog.state = 'ended';
    stopTimers(dialog);
    dialog.unacknowledged?.transaction.acknowledged();
    dialog.unacknowledged = undefined;
    for (const pending of this.#pending.values()) {
      if (pending.dialog !== dialog || pending === except) continue;
      this.close(pending);
      answer(pending.transaction, 487, 'Request Terminated', dialog);
    }
  }

  /**
   * The app went away. What it has not answered is answered 503. Its calls are not hung up, as drachtio-server does not: the
   * peer's next request gets 481. What is never asked about is forgotten after an hour.
   */
  forget(client: AppClient): void {
    for (const pending of this.#pending.values()) {
      if (pending.client === client && !pending.transaction.isAnswered) {
        this.giveUp(pending, 503, 'Service Unavailable');
      }
    }
    for (const dialog of this.#dialogs.values()) {
      if (dialog.client === client) this.#orphan(dialog);
    }
  }

  #orphan(dialog: Dialog): void {
    stopTimers(dialog);
    dialog.sessionTimer = setTimeout(() => {
      this.end(dialog);
    }, ORPHAN_MAX_MS);
  }

  /** Forgets everything without another message. */
  clear(): void {
    for (const timer of this.#deadlines.values()) clearTimeout(timer);
    for (const dialog of this.#dialogs.values()) stopTimers(dialog);
    this.#deadlines.clear();
    this.#pending.clear();
    this.#dialogs.clear();
  }
}

function stopTimers(dialog: Dialog): void {
  clearTimeout(dialog.sessionTimer);
  dialog.reliable?.stop();
}

/** Responds in the edge's own name. */
export function answer(
  transaction: ServerTransaction,
  status: number,
  reason: string,
  dialog?: Dialog,
  headers: readonly SipHeader[] = [],
): RespondOutcome {
  const toTag = dialog?.localTag ?? transaction.toTag;
  return transaction.respond(reply(transaction.request, { status, reason, toTag, headers }));
}
