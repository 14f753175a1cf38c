import type { SipFlow } from './flow.ts';
import { formatSipMessage, type SipRequest, type SipResponse } from './message.ts';
import { newTag } from './reply.ts';
import { Retransmission } from './retransmission.ts';
import {
  InviteServerTransaction,
  NonInviteServerTransaction,
  silentSipJsLoggers,
  sipJsRequest,
  sipJsTransport,
  sipTimers,
  TransactionState,
} from './sipjs.ts';

/**
 * What became of a response: `sent`; `answered`: a final response went out before; `flow-closed`: there is nobody to
 * send it to; `forbidden`: a provisional response other than 100 to a request that is no INVITE (RFC 4320 §4.1).
 */
export type RespondOutcome = 'sent' | 'answered' | 'flow-closed' | 'forbidden';

/**
 * One request that came in, until its answer is safe with the peer. sip.js runs the state machine of RFC 3261 §17.2 (and
 * RFC 6026); the retransmissions over UDP that it leaves out are added here.
 */
export class ServerTransaction {
  readonly request: SipRequest;
  readonly flow: SipFlow;
  /** The tag of every response to this request (RFC 3261 §8.2.6.2). */
  readonly toTag: string = newTag();
  readonly #inner: InviteServerTransaction | NonInviteServerTransaction;
  readonly #onEnd: () => void;
  #lastResponse: SipResponse | undefined;
  #resending: Retransmission | undefined;
  #ackDeadline: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(request: SipRequest, flow: SipFlow, options: { branch: string; onEnd: () => void }) {
    this.request = request;
    this.flow = flow;
    this.#onEnd = options.onEnd;
    const user = {
      loggerFactory: silentSipJsLoggers,
      onStateChange: (state: TransactionState) => {
        this.#entered(state);
      },
      // The peer's connection is gone, and with it whoever could acknowledge or repeat.
      onTransportError: () => {
        if (!flow.isOpen) this.#end();
      },
    };
    const inner = sipJsRequest(request.method, options.branch);
    const transport = sipJsTransport(flow);
    this.#inner =
      request.method === 'INVITE'
        ? new InviteServerTransaction(inner, transport, user)
        : new NonInviteServerTransaction(inner, transport, user);
  }

  get lastResponse(): SipResponse | undefined {
    return this.#lastResponse;
  }

  /** Whether a final response went out. */
  get isAnswered(): boolean {
    return (this.#lastResponse?.status ?? 0) >= 200;
  }

  /** Whether the answer was a 2xx to an INVITE, whose ACK is a request of its own. */
  get isAccepted(): boolean {
    const status = this.#lastResponse?.status ?? 0;
    return this.request.method === 'INVITE' && status >= 200 && status < 300;
  }

  /**
   * Sends a response. A 2xx to an INVITE is repeated until {@link acknowledged} is called: over UDP only, as sofia-sip
   * does; when 64·T1 have passed, `onAckMissing` is called once (RFC 3261 §13.3.1.4: the session should be ended).
   */
  respond(response: SipResponse, options: { onAckMissing?: () => void } = {}): RespondOutcome {
    if (this.#isOver) return this.isAnswered ? 'answered' : 'flow-closed';
    if (this.isAnswered) return 'answered';
    if (!this.flow.isOpen) {
      // Nobody can get an answer any more, nor repeat the question.
      this.#end();
      return 'flow-closed';
    }
    const isInvite = this.request.method === 'INVITE';
    if (!isInvite && response.status > 100 && response.status < 200) return 'forbidden';
    this.#lastResponse = response;
    if (this.isAccepted) {
      this.#ackDeadline = setTimeout(() => {
        this.acknowledged();
        options.onAckMissing?.();
      }, 64 * sipTimers().t1Ms);
    }
    this.#inner.receiveResponse(response.status, formatSipMessage(response).toString('latin1'));
    return 'sent';
  }

  /** The ACK to our 2xx came: no more repeating. */
  acknowledged(): void {
    clearTimeout(this.#ackDeadline);
    if (this.isAccepted) this.#resending?.stop();
  }

  /** The same request once more, or the ACK to a final response that is no 2xx. */
  receive(request: SipRequest): void {
    // RFC 6026 §7.1 has the 2xx repeated by its sender alone; sofia-sip answers every repeated INVITE at once.
    if (this.#inner instanceof InviteServerTransaction && this.isAccepted && request.method === 'INVITE') {
      this.#inner.retransmitAcceptedResponse();
    } else this.#inner.receiveRequest(sipJsRequest(request.method, this.#inner.id));
  }

  #entered(state: TransactionState): void {
    switch (state) {
      case TransactionState.Accepted:
      case TransactionState.Completed:
        if (this.flow.protocol === 'udp') {
          if (this.#inner instanceof InviteServerTransaction) this.#startResending(this.#inner);
        } else if (this.request.method !== 'INVITE') {
          // Timer J is zero on a stream (RFC 3261 §17.2.2); the response itself goes out in this turn.
          queueMicrotask(() => {
            this.#end();
          });
        }
        return;
      case TransactionState.Confirmed:
        this.#resending?.stop();
        return;
      case TransactionState.Terminated:
        this.#end();
        return;
      default:
        return;
    }
  }

  #startResending(inner: InviteServerTransaction): void {
    const { t1Ms, t2Ms } = sipTimers();
    const again = sipJsRequest('INVITE', inner.id);
    this.#resending = new Retransmission({
      firstMs: t1Ms,
      maxMs: t2Ms,
      resend: () => {
        if (this.isAccepted) inner.retransmitAcceptedResponse();
        else inner.receiveRequest(again);
      },
    });
  }

  /** The state machine is through. That the ACK to a 2xx may still be missing is another matter. */
  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#resending?.stop();
    this.#inner.dispose();
    this.#onEnd();
  }

  /** Forgets the request at once: nothing more is sent, no deadline runs on. */
  dispose(): void {
    clearTimeout(this.#ackDeadline);
    this.#end();
  }
}
