import type Srf from 'drachtio-srf';

import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import { ALLOW, SUPPORTED } from './capabilities.ts';
import { toText } from './dialog.ts';
import { ACCEPTED_TYPES, readContent, type RequestContent, type RequestText } from './invite.ts';
import { ownContact } from './own-contact.ts';

export interface FinalAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What became of a reliable provisional response. */
export type ReliableOutcome =
  /** Acknowledged; the PRACK has the answer where our offer was in it. Undefined where it cannot be read. */
  | { readonly kind: 'acknowledged'; readonly content: RequestContent | undefined }
  /** No PRACK came in time, or the edge could not send it reliably: the 2xx goes out all the same. */
  | { readonly kind: 'unacknowledged' }
  | { readonly kind: 'cancelled' };

/** Some clients that insist on 100rel never send a PRACK, and take the 200. */
const PRACK_TIMEOUT_MS = 2_000;

/**
 * An INVITE that asks for a call, until its final response. Its CANCEL may come at any moment; the edge answers
 * both. Whatever calls it, one final response goes out.
 */
export class IncomingInvite {
  readonly request: Srf.SrfRequest;
  readonly text: RequestText;
  readonly #response: Srf.SrfResponse;
  readonly #onAnswered: (status: number) => void;
  readonly #logger: Logger;
  readonly #cancelled: Promise<void>;
  #state: 'open' | 'cancelled' | 'answered' = 'open';

  constructor(
    request: Srf.SrfRequest,
    response: Srf.SrfResponse,
    options: {
      /** How it ended, by status; called once. */
      readonly onAnswered: (status: number) => void;
      readonly logger: Logger;
    },
  ) {
    this.request = request;
    this.text = toText(request);
    this.#response = response;
    this.#onAnswered = options.onAnswered;
    this.#logger = options.logger;
    this.#cancelled = new Promise((resolve) => {
      request.on('cancel', () => {
        if (this.#state === 'open') {
          this.#state = 'cancelled';
          this.#onAnswered(487);
        }
        resolve();
      });
    });
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  contact(recording: boolean): string {
    return `${ownContact(this.request)}${recording ? ';+sip.srs' : ''}`;
  }

  /** A final response other than 2xx; nothing where there was one already. */
  refuse({ status, headers = {} }: FinalAnswer): void {
    if (this.#state !== 'open') return;
    this.#state = 'answered';
    this.#onAnswered(status);
    this.#response.send(status, { headers });
  }

  /** 183 with our description, repeated by the edge until its PRACK (RFC 3262 §3). Never rejects. */
  async sendReliably(sdp: string, contact: string): Promise<ReliableOutcome> {
    let failed: () => void = () => undefined;
    const failure = new Promise<undefined>((resolve) => {
      failed = () => {
        resolve(undefined);
      };
    });
    const acknowledged = new Promise<Srf.SrfRequest>((resolve) => {
      const headers = {
        Require: '100rel',
        Contact: contact,
        'Content-Type': 'application/sdp',
        Allow: ALLOW,
      };
      const send = this.#response.send.bind(this.#response) as unknown as SendProvisional;
      send(
        183,
        { headers, body: sdp },
        (error) => {
          if (error !== null && error !== undefined) failed();
        },
        resolve,
      );
    });
    let prack: Srf.SrfRequest | undefined;
    const settled = Promise.race([acknowledged, failure, this.#cancelled]).then((found) => {
      prack = found ?? undefined;
    });
    await within(PRACK_TIMEOUT_MS, settled);
    if (this.#state === 'cancelled') return { kind: 'cancelled' };
    if (prack === undefined) return { kind: 'unacknowledged' };
    try {
      return { kind: 'acknowledged', content: readContent(toText(prack)) };
    } catch {
      return { kind: 'acknowledged', content: undefined };
    }
  }

  /**
   * Sends the 200 and makes the dialog. `onDialog` runs in the turn in which the dialog is there, so that a
   * re-INVITE in the same turn finds its listeners; `onFailure` where none is made, a CANCEL included.
   */
  accept(
    srf: Srf,
    options: {
      readonly sdp: string | undefined;
      readonly headers: Readonly<Record<string, string>>;
      readonly onDialog: (dialog: Srf.Dialog) => void;
      readonly onFailure: () => void;
    },
  ): void {
    const { sdp, onDialog, onFailure } = options;
    if (this.#state !== 'open') {
      onFailure();
      return;
    }
    const headers: Record<string, string> = {
      ...(sdp === undefined ? {} : { 'Content-Type': 'application/sdp' }),
      Allow: ALLOW,
      Supported: SUPPORTED,
      Accept: ACCEPTED_TYPES,
      ...options.headers,
    };
    let settled = false;
    const made = (error: unknown, dialog: Srf.Dialog | undefined): void => {
      if (settled) {
        // A 200 that went out after all, behind its own CANCEL: nobody wants the dialog.
        dialog?.destroy();
        return;
      }
      settled = true;
      const failed = error !== null && error !== undefined;
      if (failed || dialog === undefined) {
        if (this.#state === 'open') {
          this.#state = 'answered';
          this.#onAnswered(500);
          this.#logger.warn({ err: toError(error) }, 'answer could not be sent');
        }
        onFailure();
        return;
      }
      this.#state = 'answered';
      this.#onAnswered(200);
      onDialog(dialog);
    };
    // The callback form: a promise would resolve a turn later, and drachtio-srf answers by itself meanwhile.
    srf.createUAS(
      this.request,
      this.#response,
      { headers, ...(sdp === undefined ? {} : { localSdp: sdp }) } as Srf.CreateUASOptions,
      made,
    );
  }
}

/** The form with a function for the PRACK, which the library's types leave out. */
type SendProvisional = (
  status: number,
  options: object,
  onSent: (error: unknown) => void,
  onPrack: (prack: Srf.SrfRequest) => void,
) => void;
