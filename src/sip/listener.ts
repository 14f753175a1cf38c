import { once } from 'node:events';
import { connect } from 'node:net';

import Srf from 'drachtio-srf';

import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import {
  ACCEPTED_TYPES,
  isRecordingSession,
  readContent,
  type RequestContent,
  type RequestText,
} from './invite.ts';
import type { PeerFilter } from './peer-filter.ts';
import type { SdpOffer } from './sdp.ts';

/** An INVITE that asks for a new call, read. */
export interface InviteRequest {
  readonly sipCallId: string;
  readonly text: RequestText;
  readonly content: RequestContent;
  readonly offer: SdpOffer;
  /** Whether the sender is a recording client (RFC 7866) rather than a caller. */
  readonly recording: boolean;
  readonly peerAddress: string;
}

/** Who ended the dialog: the peer, or the edge because the ACK never came. */
export type DialogEnd = 'bye' | 'ack_timeout';

/** What the listener drives: one call, as the dialog sees it. */
export interface DialogUser {
  /** Our session description, to be sent in the 200. */
  readonly localSdp: string;
  /** The 200 was sent; `hangUp` ends the dialog from our side. */
  answered(hangUp: () => Promise<void>): void;
  /** The INVITE was cancelled, or the answer could not be sent. */
  abandoned(): void;
  /** @returns the new answer. @throws {CallscribeError} SIP_NO_COMMON_CODEC */
  reoffered(offer: SdpOffer, content: RequestContent): Promise<string>;
  /** A request without an offer, which may carry metadata. */
  informed(method: string, content: RequestContent): void;
  ended(reason: DialogEnd): void;
}

export type InviteOutcome =
  | { readonly kind: 'answer'; readonly user: DialogUser }
  | { readonly kind: 'refuse'; readonly status: 488 | 503; readonly retryAfterSeconds?: number };

export interface SipListenerOptions {
  readonly server: { readonly host: string; readonly port: number; readonly secret: string };
  readonly peers: PeerFilter;
  readonly onInvite: (request: InviteRequest) => Promise<InviteOutcome>;
  /** Whether new calls are taken now; told to peers that ask by OPTIONS. */
  readonly isAccepting: () => boolean;
  /** How every initial INVITE ended, by status. */
  readonly onInviteAnswered: (status: number) => void;
  readonly onRefusedPeer: () => void;
  readonly onEdgeLost: () => void;
  readonly logger: Logger;
}

const ALLOW = 'INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE';
/** Methods that the edge hands over outside of a dialog, or for a dialog that is gone. */
const OTHER_METHODS = ['info', 'message', 'notify', 'register', 'subscribe', 'publish'] as const;
const RETRY_AFTER_SECONDS = 5;
const CONNECT_TIMEOUT_MS = 5_000;
/** For the ACK that may be missing, and again for the answer to the BYE. */
const HANG_UP_TIMEOUT_MS = 1_000;

/**
 * The SIP side of the intake: a client of drachtio-server (or of the embedded edge, which speaks the same
 * protocol). It answers every request exactly once, also where our own code throws.
 */
export class SipListener {
  readonly #options: SipListenerOptions;
  readonly #srf = new Srf();
  #connected = false;
  #closing = false;

  private constructor(options: SipListenerOptions) {
    this.#options = options;
  }

  /** @throws {CallscribeError} SIP_EDGE_UNREACHABLE when there is no connection within 5 s, or the secret is wrong */
  static async connect(options: SipListenerOptions): Promise<SipListener> {
    const listener = new SipListener(options);
    listener.#route();
    await listener.#connect();
    return listener;
  }

  get connected(): boolean {
    return this.#connected;
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#srf.disconnect();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #route(): void {
    this.#srf.use((request, response, next) => {
      if (this.#options.peers.allows(request.source_address)) {
        (next as () => void)();
        return;
      }
      this.#options.onRefusedPeer();
      response.send(403);
    });
    this.#srf.invite((request, response) => {
      void this.#handleInvite(request, response);
    });
    this.#srf.use('options', (request, response) => {
      this.#answerOptions(request, response);
    });
    for (const method of OTHER_METHODS) {
      this.#srf.use(method, (request, response) => {
        const inDialog = /;\s*tag=/i.test(request.get('to'));
        if (inDialog) response.send(481);
        else response.send(405, { headers: { Allow: ALLOW } });
      });
    }
  }

  async #connect(): Promise<void> {
    const { server, logger } = this.#options;
    const unreachable = (found: string, cause: unknown): CallscribeError =>
      new CallscribeError(
        'SIP_EDGE_UNREACHABLE',
        `drachtio-server at ${server.host}:${server.port}: ${found}. Check DRACHTIO_HOST, DRACHTIO_PORT and ` +
          'DRACHTIO_SECRET, or unset DRACHTIO_HOST to use the embedded edge',
        { cause, retryable: true },
      );
    // drachtio-srf tries for ever and cannot be stopped before its first connection, so that is tried out first.
    await probe(server).catch((error: unknown) => {
      throw unreachable(systemCode(error) ?? 'no answer', error);
    });
    this.#srf.on('close' as 'disconnect', () => {
      this.#connectionLost(undefined);
    });
    this.#srf.on('error', (error) => {
      this.#connectionLost(error);
    });
    const authenticated = new Promise<void>((resolve, reject) => {
      this.#srf.on('connect', (error: Error | null) => {
        this.#connected = error === null;
        if (error === null) resolve();
        else reject(error);
      });
    });
    void this.#srf.connect(server);
    try {
      await withTimeout(authenticated, CONNECT_TIMEOUT_MS);
    } catch (error) {
      this.close();
      throw unreachable('the secret was refused, or it is no drachtio-server', error);
    }
    logger.info({ host: server.host, port: server.port }, 'SIP edge connected');
  }

  /** The client reconnects by itself; calls that stand go on meanwhile. */
  #connectionLost(error: Error | undefined): void {
    if (this.#closing || !this.#connected) return;
    this.#connected = false;
    this.#options.onEdgeLost();
    this.#options.logger.error({ err: error }, 'connection to the SIP edge lost, reconnecting');
  }

  #answerOptions(request: Srf.SrfRequest, response: Srf.SrfResponse): void {
    if (this.#options.isAccepting()) {
      response.send(200, { headers: { Allow: ALLOW, Accept: ACCEPTED_TYPES } });
    } else {
      response.send(503, { headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) } });
    }
    this.#options.logger.debug({ peerAddress: request.source_address }, 'OPTIONS answered');
  }

  async #handleInvite(request: Srf.SrfRequest, response: Srf.SrfResponse): Promise<void> {
    const invite = new IncomingInvite(request, response);
    try {
      const text = toText(request);
      // RFC 3261 §8.1.1.8: an INVITE MUST have one; without it no dialog can be formed.
      if (!request.has('contact')) {
        this.#refuse(invite, 400);
        return;
      }
      const content = readContent(text);
      if (content.offer === undefined) {
        this.#refuse(invite, 488);
        return;
      }
      const outcome = await this.#options.onInvite({
        sipCallId: text.header('call-id') ?? '',
        text,
        content,
        offer: content.offer,
        recording: isRecordingSession(text, content),
        peerAddress: request.source_address,
      });
      if (outcome.kind === 'refuse') this.#refuse(invite, outcome.status, outcome.retryAfterSeconds);
      else this.#answer(invite, outcome.user, isRecordingSession(text, content));
    } catch (error) {
      const malformed = error instanceof CallscribeError && error.code === 'SIP_MALFORMED';
      if (!malformed) this.#options.logger.error({ err: toError(error) }, 'INVITE could not be handled');
      this.#refuse(invite, malformed ? 400 : 500);
    }
  }

  #refuse(invite: IncomingInvite, status: number, retryAfterSeconds?: number): void {
    if (invite.cancelled) return;
    const headers: Record<string, string> = {};
    if (retryAfterSeconds !== undefined) headers['Retry-After'] = String(retryAfterSeconds);
    if (status === 488) headers['Accept'] = ACCEPTED_TYPES;
    this.#options.onInviteAnswered(status);
    invite.response.send(status, { headers });
  }

  #answer(invite: IncomingInvite, user: DialogUser, recording: boolean): void {
    const { request, response } = invite;
    if (invite.cancelled) {
      this.#options.onInviteAnswered(487);
      user.abandoned();
      return;
    }
    const headers: Record<string, string> = {
      Contact: contactOf(request, recording),
      'Content-Type': 'application/sdp',
      Allow: ALLOW,
      Accept: ACCEPTED_TYPES,
    };
    if (request.has('require') && /\bsiprec\b/i.test(request.get('require'))) headers['Require'] = 'siprec';
    // The callback form: a re-INVITE in the same turn must already find its listener (drachtio-srf answers it
    // by itself otherwise), and a promise would resolve a turn later.
    this.#srf.createUAS(request, response, { localSdp: user.localSdp, headers }, (error: unknown, dialog) => {
      if (error !== null && error !== undefined) {
        this.#options.onInviteAnswered(invite.cancelled ? 487 : 500);
        if (!invite.cancelled) this.#options.logger.warn({ err: toError(error) }, 'answer could not be sent');
        user.abandoned();
        return;
      }
      this.#options.onInviteAnswered(200);
      this.#follow(dialog, user, headers['Contact'] ?? '');
      // RFC 3261 §15: no BYE before the ACK.
      const acknowledged = once(dialog, 'ack');
      user.answered(() => hangUp(dialog, acknowledged));
    });
  }

  #follow(dialog: Srf.Dialog, user: DialogUser, contact: string): void {
    const withSdp = (sdp: string): object => ({
      body: sdp,
      headers: { Contact: contact, 'Content-Type': 'application/sdp', Allow: ALLOW },
    });
    dialog.on('modify', (request, response) => {
      void this.#answerOnce(response, async () => {
        const content = readContent(toText(request));
        // A re-INVITE without an offer asks for ours (RFC 3261 §14.2); ours has not changed.
        if (content.offer === undefined) {
          user.informed('INVITE', content);
          response.send(200, withSdp(user.localSdp));
        } else {
          response.send(200, withSdp(await user.reoffered(content.offer, content)));
        }
      });
    });
    dialog.on('update', (request, response) => {
      void this.#answerOnce(response, async () => {
        const content = readContent(toText(request));
        if (content.offer === undefined) {
          user.informed('UPDATE', content);
          response.send(200, { headers: { Contact: contact } });
        } else {
          response.send(200, withSdp(await user.reoffered(content.offer, content)));
        }
      });
    });
    dialog.on('info', (request, response) => {
      void this.#answerOnce(response, () => {
        user.informed('INFO', readContent(toText(request)));
        response.send(200);
      });
    });
    dialog.on('options', (_request, response) => {
      response.send(200, { headers: { Allow: ALLOW, Accept: ACCEPTED_TYPES } });
    });
    for (const method of ['refer', 'message'] as const) {
      dialog.on(method as 'refer', (_request, response) => {
        response.send(405, { headers: { Allow: ALLOW } });
      });
    }
    dialog.on('notify', (_request, response) => {
      response.send(481);
    });
    dialog.on('destroy', (bye: Srf.SrfRequest) => {
      user.ended(endReasonOf(bye));
    });
  }

  /** Runs a handler that answers; where it throws instead, the answer is 400, 488 or 500. */
  async #answerOnce(response: Srf.SrfResponse, handle: () => void | Promise<void>): Promise<void> {
    try {
      await handle();
    } catch (error) {
      const code = error instanceof CallscribeError ? error.code : undefined;
      if (code === undefined) this.#options.logger.error({ err: toError(error) }, 'in-dialog request failed');
      if (response.finalResponseSent) return;
      if (code === 'SIP_NO_COMMON_CODEC') response.send(488, { headers: { Accept: ACCEPTED_TYPES } });
      else response.send(code === 'SIP_MALFORMED' ? 400 : 500);
    }
  }
}

async function probe({ host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  const socket = connect({ host, port });
  try {
    await withTimeout(once(socket, 'connect'), CONNECT_TIMEOUT_MS);
  } finally {
    socket.destroy();
  }
}

async function withTimeout<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${timeoutMs} ms`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** An INVITE whose CANCEL may arrive while it is being handled; the edge answers both. */
class IncomingInvite {
  readonly request: Srf.SrfRequest;
  readonly response: Srf.SrfResponse;
  cancelled = false;

  constructor(request: Srf.SrfRequest, response: Srf.SrfResponse) {
    this.request = request;
    this.response = response;
    request.on('cancel', () => {
      this.cancelled = true;
    });
  }
}

function toText(message: Srf.SipMessage | Srf.SrfRequest): RequestText {
  const raw = 'msg' in message ? message.msg.raw : message.raw;
  return { raw, header: (name) => message.get(name) };
}

/** The edge puts its own address in the place of `localhost`. */
function contactOf(request: Srf.SrfRequest, recording: boolean): string {
  const transport = request.protocol === 'tcp' ? ';transport=tcp' : '';
  return `<sip:callscribe@localhost${transport}>${recording ? ';+sip.srs' : ''}`;
}

/** Resolves when the BYE was answered. @throws {Error} when it was not, within a bounded time */
async function hangUp(dialog: Srf.Dialog, acknowledged: Promise<unknown>): Promise<void> {
  await withTimeout(acknowledged, HANG_UP_TIMEOUT_MS).catch(() => undefined);
  const answered = new Promise<void>((resolve, reject) => {
    dialog.destroy({ headers: {} }, (error: unknown) => {
      if (error === null || error === undefined) resolve();
      else reject(toError(error));
    });
  });
  await withTimeout(answered, HANG_UP_TIMEOUT_MS);
}

/** The edge ends a dialog itself when the ACK never came, and says so in a Reason header (RFC 3326). */
function endReasonOf(bye: Srf.SrfRequest): DialogEnd {
  const unacknowledged = /ACK timeout/i.test(bye.has('reason') ? bye.get('reason') : '');
  return unacknowledged ? 'ack_timeout' : 'bye';
}
