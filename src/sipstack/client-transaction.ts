import { readCSeq, readNameAddr } from './fields.ts';
import type { SipFlow } from './flow.ts';
import { formatSipMessage, header, headers, type SipRequest, type SipResponse } from './message.ts';
import { ownVia, reply } from './reply.ts';
import { Retransmission } from './retransmission.ts';
import {
  InviteClientTransaction,
  NonInviteClientTransaction,
  silentSipJsLoggers,
  sipJsOutgoing,
  sipJsResponse,
  sipJsTransport,
  sipTimers,
  TransactionState,
} from './sipjs.ts';

/**
 * Called for every response, provisional ones included, and at the end exactly once with a final one. Where none comes,
 * it is made here, as RFC 3261 §8.1.3.1 says: 408 after 64·T1, 503 when the message cannot be sent.
 */
export type OnResponse = (response: SipResponse, origin: 'network' | 'local') => void;

/** RFC 3261 §16.6, timer C: how long an INVITE may ring before it counts as unanswered. */
const RINGING_MAX_MS = 181_000;

/**
 * One request that we sent. sip.js runs the state machine of RFC 3261 §17.1 and acknowledges failed INVITEs; the
 * retransmissions over UDP that it leaves out (timers A and E) are added here.
 */
export class ClientTransaction {
  /** As it went out, with our Via. */
  readonly request: SipRequest;
  readonly flow: SipFlow;
  readonly branch: string;
  readonly #inner: InviteClientTransaction | NonInviteClientTransaction;
  readonly #onResponse: OnResponse;
  readonly #onEnd: () => void;
  readonly #resending: Retransmission | undefined;
  #received: SipResponse | undefined;
  #ringing: NodeJS.Timeout | undefined;
  #hasFinal = false;
  #isOver = false;

  constructor(
    request: SipRequest,
    flow: SipFlow,
    options: { branch: string; onResponse: OnResponse; onEnd: () => void },
  ) {
    this.request = {
      ...request,
      headers: [{ name: 'Via', value: ownVia(flow, options.branch) }, ...request.headers],
    };
    this.flow = flow;
    this.branch = options.branch;
    this.#onResponse = options.onResponse;
    this.#onEnd = options.onEnd;
    const user = {
      loggerFactory: silentSipJsLoggers,
      onStateChange: (state: TransactionState) => {
        this.#entered(state);
      },
      onRequestTimeout: () => {
        this.#finish(408, 'Request Timeout');
      },
      onTransportError: () => {
        this.#finish(503, 'Service Unavailable');
      },
      receiveResponse: () => {
        this.#deliver();
      },
    };
    const transport = sipJsTransport(flow);
    const outgoing = sipJsOutgoing(present(this.request, this.branch));
    const { t1Ms, t2Ms } = sipTimers();
    if (request.method === 'INVITE') {
      this.#inner = new InviteClientTransaction(outgoing, transport, user);
    } else this.#inner = new NonInviteClientTransaction(outgoing, transport, user);
    if (flow.protocol === 'udp') {
      const bytes = formatSipMessage(this.request);
      this.#resending = new Retransmission({
        firstMs: t1Ms,
        // RFC 3261 §17.1.1.2: timer A doubles without a limit; §17.1.2.2: timer E stops growing at T2.
        maxMs: request.method === 'INVITE' ? 64 * t1Ms : t2Ms,
        resend: () => {
          flow.send(bytes).catch(() => {
            // The next one may pass; at the end the time-out says so.
          });
        },
      });
    }
  }

  /** A response whose branch is ours. */
  receive(response: SipResponse): void {
    const to = header(response, 'to') ?? '';
    const toTag = readNameAddr(to)?.parameters.get('tag') ?? '';
    this.#received = response;
    this.#inner.receiveResponse(sipJsResponse(response.status, { to, toTag }));
    this.#received = undefined;
  }

  /** Sends the ACK to a 2xx, now and whenever that 2xx is repeated. Returns it as it went out, with our Via. */
  acknowledge(ack: SipRequest, branch: string): SipRequest {
    const sent = { ...ack, headers: [{ name: 'Via', value: ownVia(this.flow, branch) }, ...ack.headers] };
    if (this.#inner instanceof InviteClientTransaction) {
      this.#inner.ackResponse(sipJsOutgoing(present(sent, branch)));
    }
    return sent;
  }

  #deliver(): void {
    const response = this.#received;
    if (response === undefined) return;
    if (response.status < 200) {
      this.#ringing ??= setTimeout(() => {
        if (this.request.method === 'INVITE') this.#finish(408, 'Request Timeout');
      }, RINGING_MAX_MS);
    } else {
      this.#hasFinal = true;
      clearTimeout(this.#ringing);
    }
    this.#onResponse(response, 'network');
  }

  #finish(status: number, reason: string): void {
    if (this.#hasFinal) return;
    this.#hasFinal = true;
    this.#onResponse(reply(this.request, { status, reason, toTag: 'local' }), 'local');
    this.dispose();
  }

  #entered(state: TransactionState): void {
    const isWaiting = state === TransactionState.Trying || state === TransactionState.Calling;
    // §17.1.2.2: a request that is no INVITE goes on being repeated while only provisional responses came.
    const isRinging = state === TransactionState.Proceeding && this.request.method !== 'INVITE';
    if (!isWaiting && !isRinging) this.#resending?.stop();
    if (state === TransactionState.Terminated) this.dispose();
  }

  dispose(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#resending?.stop();
    clearTimeout(this.#ringing);
    this.#inner.dispose();
    this.#onEnd();
  }
}

function present(request: SipRequest, branch: string): Parameters<typeof sipJsOutgoing>[0] {
  const bytes = formatSipMessage(request).toString('latin1');
  return {
    method: request.method,
    ruri: request.uri,
    callId: header(request, 'call-id') ?? '',
    cseq: readCSeq(header(request, 'cseq') ?? '')?.number ?? 0,
    branch,
    toTag: readNameAddr(header(request, 'to') ?? '')?.parameters.get('tag'),
    // sip.js copies one Route value into its own ACK; joined, the whole route set is one value.
    getHeader: (name) =>
      name === 'route' ? headers(request, name).join(', ') || undefined : header(request, name),
    toString: () => bytes,
  };
}
