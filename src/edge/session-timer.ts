import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { readCSeq } from '../sipstack/fields.ts';
import {
  header,
  headerName,
  type SipHeader,
  type SipRequest,
  type SipResponse,
} from '../sipstack/message.ts';
import { newBranch } from '../sipstack/reply.ts';
import type { Transactions } from '../sipstack/transactions.ts';
import { type Dialog, dialogRequest } from './dialog.ts';
import type { HangUp } from './hang-up.ts';
import type { NextHop } from './next-hop.ts';

/** RFC 4028 §5: the shortest session that anybody may ask for. */
export const MIN_SESSION_SECONDS = 90;
/** What a Node timer can wait is 24.8 days; nobody means more. */
const MAX_SESSION_SECONDS = 86_400;

interface SessionExpires {
  readonly seconds: number;
  readonly refresher: 'uac' | 'uas' | undefined;
}

export function readSessionExpires(headers: readonly SipHeader[]): SessionExpires | undefined {
  const value = headers.find((line) => headerName(line.name) === 'session-expires')?.value;
  const found = /^(\d{1,10})\b/.exec(value ?? '');
  if (value === undefined || found === null) return undefined;
  const refresher = /;\s*refresher\s*=\s*(uac|uas)\b/i.exec(value)?.[1]?.toLowerCase();
  return {
    seconds: Math.min(Number(found[1]), MAX_SESSION_SECONDS),
    refresher: refresher === 'uac' || refresher === 'uas' ? refresher : undefined,
  };
}

export interface SessionTimersOptions {
  readonly transactions: Transactions;
  readonly nextHop: NextHop;
  readonly hangUp: HangUp;
  readonly logger: Logger;
}

/**
 * Session timers (RFC 4028), which drachtio-server runs by itself: it agrees to what the peer offers, refreshes by re-INVITE
 * where that is our part, and hangs up when the peer does not refresh. The app only sees the BYE.
 */
export class SessionTimers {
  readonly #options: SessionTimersOptions;

  constructor(options: SessionTimersOptions) {
    this.#options = options;
  }

  /**
   * Agrees on the timer that a 2xx to INVITE or UPDATE confirms, and starts it. The app's own header wins. An INVITE that
   * names no refresher gets no timer, which is drachtio-server's default.
   *
   * @returns the header to add to the response
   */
  accept(dialog: Dialog, request: SipRequest, written: readonly SipHeader[]): SipHeader[] {
    clearTimeout(dialog.sessionTimer);
    const own = readSessionExpires(written);
    const offered = readSessionExpires(request.headers);
    const isRefresh = dialog.state === 'confirmed';
    const refresher =
      own?.refresher ?? offered?.refresher ?? (isRefresh || own !== undefined ? 'uac' : undefined);
    const asked = own ?? offered;
    if (asked === undefined || refresher === undefined) return [];
    const seconds = Math.max(MIN_SESSION_SECONDS, asked.seconds);
    this.#start(dialog, seconds, refresher === 'uas' ? 'us' : 'them');
    return own === undefined ? [{ name: 'Session-Expires', value: `${seconds};refresher=${refresher}` }] : [];
  }

  #start(dialog: Dialog, seconds: number, refresher: 'us' | 'them'): void {
    clearTimeout(dialog.sessionTimer);
    // RFC 4028 §10: half the interval to refresh.
    const delayMs = refresher === 'us' ? seconds * 500 : seconds * 1_000;
    dialog.sessionTimer = setTimeout(() => {
      const done = refresher === 'us' ? this.#refresh(dialog, seconds) : this.#expire(dialog);
      done.catch((thrown: unknown) => {
        this.#options.logger.error({ err: toError(thrown) }, 'edge session timer failed');
      });
    }, delayMs);
  }

  #expire(dialog: Dialog): Promise<void> {
    return this.#options.hangUp.now(dialog, 'Session timer expired');
  }

  async #refresh(dialog: Dialog, seconds: number): Promise<void> {
    if (dialog.outgoingInvite !== undefined) {
      // The app modifies the session just now, which refreshes it, too.
      this.#start(dialog, seconds, 'us');
      return;
    }
    const flow = await this.#options.nextHop.inDialog(dialog).catch(() => undefined);
    if (dialog.state === 'ended') return;
    if (flow === undefined) {
      await this.#expire(dialog);
      return;
    }
    const invite = dialogRequest(dialog, 'INVITE', {
      headers: [
        { name: 'Contact', value: dialog.localContact },
        { name: 'Session-Expires', value: `${seconds};refresher=uac` },
        { name: 'Min-SE', value: String(MIN_SESSION_SECONDS) },
        ...(dialog.localSession.length === 0 ? [] : [{ name: 'Content-Type', value: 'application/sdp' }]),
      ],
      body: dialog.localSession,
    });
    dialog.refreshing = true;
    const transaction = this.#options.transactions.request(invite, flow, (response) => {
      if (response.status >= 200) this.#onRefreshed(dialog, seconds, response, acknowledge);
    });
    const acknowledge = (): void => {
      const number = readCSeq(header(invite, 'cseq') ?? '')?.number ?? 0;
      transaction.acknowledge(dialogRequest(dialog, 'ACK', { number }), newBranch());
    };
  }

  #onRefreshed(dialog: Dialog, seconds: number, response: SipResponse, acknowledge: () => void): void {
    dialog.refreshing = false;
    if (response.status < 300) acknowledge();
    if (dialog.state === 'ended') return;
    if (response.status < 300) {
      this.#start(dialog, readSessionExpires(response.headers)?.seconds ?? seconds, 'us');
    } else if (response.status === 491) this.#start(dialog, seconds, 'us');
    else void this.#expire(dialog);
  }
}
