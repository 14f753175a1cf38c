import { once } from 'node:events';

import Srf from 'drachtio-srf';

import { CallscribeError, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { ALLOW, type DialogUser, followDialog, hangUp, toText } from './dialog.ts';
import { EdgeConnection } from './edge-connection.ts';
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

/** Methods that the edge hands over outside of a dialog, or for a dialog that is gone. */
const OTHER_METHODS = ['info', 'message', 'notify', 'register', 'subscribe', 'publish'] as const;
const RETRY_AFTER_SECONDS = 5;

/**
 * The SIP side of the intake: a client of drachtio-server (or of the embedded edge, which speaks the same
 * protocol). It answers every request exactly once, also where our own code throws.
 */
export class SipListener {
  readonly #options: SipListenerOptions;
  readonly #srf = new Srf();
  #connection: EdgeConnection | undefined;

  private constructor(options: SipListenerOptions) {
    this.#options = options;
  }

  /** @throws {CallscribeError} SIP_EDGE_UNREACHABLE */
  static async connect(options: SipListenerOptions): Promise<SipListener> {
    const listener = new SipListener(options);
    listener.#route();
    listener.#connection = await EdgeConnection.open({
      srf: listener.#srf,
      server: options.server,
      onLost: options.onEdgeLost,
      logger: options.logger,
    });
    return listener;
  }

  get connected(): boolean {
    return this.#connection?.connected ?? false;
  }

  close(): void {
    this.#connection?.close();
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
      followDialog(dialog, user, headers['Contact'] ?? '', this.#options.logger);
      // RFC 3261 §15: no BYE before the ACK.
      const acknowledged = once(dialog, 'ack');
      user.answered(() => hangUp(dialog, acknowledged));
    });
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

/** The edge puts its own address in the place of `localhost`. */
function contactOf(request: Srf.SrfRequest, recording: boolean): string {
  const transport = request.protocol === 'tcp' ? ';transport=tcp' : '';
  return `<sip:callscribe@localhost${transport}>${recording ? ';+sip.srs' : ''}`;
}
