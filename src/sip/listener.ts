import Srf from 'drachtio-srf';

import { ALLOW, SUPPORTED } from './capabilities.ts';
import type { DialogPlace } from './dialog-place.ts';
import { EdgeConnection } from './edge-connection.ts';
import { ACCEPTED_TYPES } from './invite.ts';
import { InviteHandler, type InviteHandlerOptions, RETRY_AFTER_SECONDS } from './invite-handler.ts';
import { hangUpOrphan, type OrphanEnd } from './orphan-dialog.ts';
import type { PeerAccess } from './peer-access.ts';
import { SubscribeHandler, type SubscribeHandlerOptions } from './subscribe-handler.ts';

export interface SipListenerOptions extends InviteHandlerOptions {
  readonly server: { readonly host: string; readonly port: number; readonly secret: string };
  readonly peers: Pick<PeerAccess, 'admit'>;
  readonly onEdgeLost: () => void;
  /** Message waiting indication; undefined: SUBSCRIBE is a method that we do not know. */
  readonly subscriptions?: Omit<SubscribeHandlerOptions, 'gate' | 'logger'> | undefined;
}

/** Methods that the edge hands over outside of a dialog, or for a dialog that is gone. */
const OTHER_METHODS = ['info', 'message', 'notify', 'register', 'publish'] as const;

/**
 * The SIP side of the intake: a client of drachtio-server (or of the embedded edge, which speaks the same
 * protocol). It answers every request exactly once, also where our own code throws or hangs.
 */
export class SipListener {
  readonly #options: SipListenerOptions;
  readonly #srf = new Srf();
  readonly #subscriptions: SubscribeHandler | undefined;
  #connection: EdgeConnection | undefined;

  private constructor(options: SipListenerOptions) {
    this.#options = options;
    const { subscriptions, gate, logger } = options;
    if (subscriptions !== undefined) {
      this.#subscriptions = new SubscribeHandler(this.#srf, { ...subscriptions, gate, logger });
    }
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

  /** Subscriptions now. */
  get subscriptionCount(): number {
    return this.#subscriptions?.count ?? 0;
  }

  /** Ends a dialog of a process that is no more; bounded, never rejects. */
  hangUpOrphan(place: DialogPlace, reason: string): Promise<OrphanEnd> {
    return hangUpOrphan(this.#srf, place, reason);
  }

  /** Tells the peers that their subscriptions are over; bounded, never rejects. New ones are refused from then on. */
  async endSubscriptions(): Promise<void> {
    await this.#subscriptions?.close();
  }

  close(): void {
    this.#connection?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #route(): void {
    this.#srf.use((request, response, next) => {
      const admission = this.#options.peers.admit(request.source_address);
      if (admission === 'serve') {
        (next as () => void)();
        return;
      }
      // The embedded edge has asked already. A drachtio-server has sent 100 to an INVITE, so silence would hide nothing,
      // and drachtio-srf keeps each INVITE until it is answered.
      if (admission === 'refuse' || request.method === 'INVITE') response.send(403);
    });
    const invites = new InviteHandler(this.#srf, this.#options);
    this.#srf.invite((request, response) => {
      void invites.handle(request, response);
    });
    this.#srf.use('options', (request, response) => {
      this.#answerOptions(request, response);
    });
    this.#srf.use('subscribe', (request, response) => {
      if (this.#subscriptions === undefined) refuseOther(request, response);
      else void this.#subscriptions.handle(request, response);
    });
    for (const method of OTHER_METHODS) this.#srf.use(method, refuseOther);
  }

  #answerOptions(request: Srf.SrfRequest, response: Srf.SrfResponse): void {
    if (this.#options.isAccepting()) {
      response.send(200, { headers: { Allow: ALLOW, Accept: ACCEPTED_TYPES, Supported: SUPPORTED } });
    } else {
      response.send(503, { headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) } });
    }
    this.#options.logger.debug({ peerAddress: request.source_address }, 'OPTIONS answered');
  }
}

function refuseOther(request: Srf.SrfRequest, response: Srf.SrfResponse): void {
  const inDialog = /;\s*tag=/i.test(request.get('to'));
  if (inDialog) response.send(481);
  else response.send(405, { headers: { Allow: ALLOW } });
}
