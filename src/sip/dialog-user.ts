import type { Logger } from '../log.ts';
import type { RequestContent } from './invite.ts';
import type { SdpOffer } from './sdp.ts';
import type { SessionTimer } from './session-timer.ts';

/**
 * How a dialog ended: the peer's BYE; the ACK never came; the peer did not refresh its session (RFC 4028 §10);
 * its answer to our offer left no line; or it no longer knew the dialog when we asked after a long silence.
 */
export type DialogEnd = 'bye' | 'ack_timeout' | 'session_expired' | 'no_media' | 'dialog_lost';

/** How our own code came to give no answer. */
export type OwnFailure = 'threw' | 'hung';

/** What identifies a dialog, as seen from us (RFC 3261 §12). */
export interface DialogTags {
  readonly sipCallId: string;
  readonly localTag: string;
  readonly remoteTag: string;
}

/** A dialog that stands, as its user may act upon it. */
export interface EstablishedDialog {
  readonly tags: DialogTags;
  /** Sends BYE with this Reason text (RFC 3326). @throws {Error} when it is not answered within a bounded time */
  hangUp(reason: string): Promise<void>;
}

/** What the listener drives: one dialog of a call. */
export interface DialogUser {
  /** Our session description for the 2xx: an answer, or our offer where the INVITE had none. */
  readonly localSdp: string;
  /** Whether `localSdp` is an offer whose answer is to come in the ACK or PRACK. */
  readonly awaitsAnswer: boolean;
  /** Grows with every packet that the dialog's lines receive. */
  readonly packetsReceived: number;
  /** Whether the senders of all its lines have said goodbye (RTCP BYE, RFC 3550 §6.6). */
  readonly mediaEnded: boolean;
  /** The 200 was sent. */
  answered(dialog: EstablishedDialog): void;
  /** The INVITE was cancelled, or the answer could not be sent. */
  abandoned(): void;
  /** @returns the new answer. @throws {CallscribeError} SIP_NO_COMMON_CODEC */
  reoffered(offer: SdpOffer, content: RequestContent): Promise<string>;
  /** The peer asks for an offer. */
  offerAnew(content: RequestContent): Promise<string>;
  /** The answer to our offer. @throws {CallscribeError} SIP_NO_COMMON_CODEC when it leaves no line */
  acceptAnswer(answer: SdpOffer, content: RequestContent): Promise<void>;
  /** A request without an offer, which may carry metadata. */
  informed(method: string, content: RequestContent): void;
  /** The peer did something that a reader of the call may want to know. */
  noted(kind: string, detail: Readonly<Record<string, unknown>>): void;
  ended(reason: DialogEnd): void;
}

/** How a dialog is followed; see `followDialog`. */
export interface FollowOptions {
  readonly contact: string;
  readonly timer: SessionTimer;
  /** Our own code has that long for an answer; then the peer gets 500. */
  readonly answerTimeoutMs: number;
  /** After so long without a packet and a request the peer is asked whether the call stands. */
  readonly quietLimitMs: number;
  readonly onProbe: (found: 'alive' | 'gone') => void;
  /** Our own code failed to answer a request; the peer got 500. */
  readonly onFailed: (how: OwnFailure) => void;
  readonly logger: Logger;
}
