import { type DialogPlace, dialogPlace } from '../sip/dialog-place.ts';
import type { DialogUser, EstablishedDialog } from '../sip/dialog-user.ts';
import type { RequestContent, RequestText } from '../sip/invite.ts';
import type { PartyRole, RoleRule } from '../sip/role-rules.ts';
import type { OfferedLine } from '../sip/sdp.ts';
import type { MediaSide } from '../sip/sdp-answer.ts';
import { CallParties } from './call-parties.ts';
import type { Leg } from './leg.ts';
import { MediaSession } from './media-session.ts';
import type { EndReason } from './record.ts';

/** The call as one of its dialogs drives it. */
export interface DialogCall {
  /** See `MediaSessionOptions.openLeg`. */
  openLeg(line: OfferedLine, when: 'first' | 'later', peerAddress: string): Promise<Leg | undefined>;
  event(kind: string, detail: Readonly<Record<string, unknown>>, leg?: Leg, at?: Date): void;
  /** The call's record has changed. */
  changed(): void;
  now(): Date;
  dialogAnswered(dialog: CallDialog): void;
  /** The peer has answered an offer of ours. */
  mediaAgreed(): void;
  dialogGone(dialog: CallDialog, reason: EndReason): void;
}

export interface CallDialogOptions {
  readonly call: DialogCall;
  readonly sipCallId: string;
  readonly request: RequestText;
  readonly content: RequestContent;
  readonly recording: boolean;
  /** Where media is to be sent; stands in our descriptions. */
  readonly mediaAddress: string;
  readonly side: MediaSide;
  /** Where the dialog's SIP comes from. */
  readonly peerAddress: string;
  readonly roleRules: readonly RoleRule[];
  /** The dialog is over, or never came to be. */
  readonly onGone: () => void;
  readonly onAnswered: () => void;
}

/** A recording session has a line for each side (RFC 7866 §7.1.1), a plain call one. */
const OWN_LINES = { recording: 2, plain: 1 };

/** One dialog of a call: what it agreed on about media, and who its INVITE and metadata say is on its lines. */
export class CallDialog implements DialogUser {
  readonly sipCallId: string;
  readonly media: MediaSession;
  readonly parties: CallParties;
  readonly #call: DialogCall;
  readonly #options: CallDialogOptions;
  #established: EstablishedDialog | undefined;

  constructor(options: CallDialogOptions) {
    const { call, sipCallId, request, recording, mediaAddress, side, peerAddress, roleRules } = options;
    this.#call = call;
    this.#options = options;
    this.sipCallId = sipCallId;
    this.media = new MediaSession({
      mediaAddress,
      side,
      openLeg: (line, when) => call.openLeg(line, when, peerAddress),
    });
    this.parties = new CallParties({ request, recording, roleRules });
  }

  /**
   * Opens the legs of the INVITE's offer, or of ours where it has none.
   *
   * @throws {CallscribeError} SIP_NO_COMMON_CODEC, RTP_PORTS_EXHAUSTED
   */
  async open(): Promise<void> {
    const { content, recording } = this.#options;
    if (content.offer !== undefined) await this.media.applyOffer(content.offer);
    else await this.media.makeOffer(recording ? OWN_LINES.recording : OWN_LINES.plain);
    this.#learn(content);
  }

  /** The call knows this dialog no more. */
  gone(): void {
    this.#options.onGone();
  }

  get established(): EstablishedDialog | undefined {
    return this.#established;
  }

  /** What another process needs to end it; undefined before it was answered. */
  get place(): DialogPlace | undefined {
    const { established } = this;
    return established === undefined ? undefined : dialogPlace(this.#options.request, established.tags);
  }

  get localSdp(): string {
    return this.media.localSdp ?? '';
  }

  get awaitsAnswer(): boolean {
    return this.media.awaitsAnswer;
  }

  get packetsReceived(): number {
    return this.media.packetsReceived;
  }

  get mediaEnded(): boolean {
    return this.media.hasEnded;
  }

  answered(dialog: EstablishedDialog): void {
    this.#established = dialog;
    this.#call.dialogAnswered(this);
    this.#options.onAnswered();
  }

  abandoned(): void {
    this.#call.dialogGone(this, 'bye');
  }

  async reoffered(...[offer, content]: Parameters<DialogUser['reoffered']>): Promise<string> {
    const sdp = await this.media.applyOffer(offer);
    this.#learn(content);
    this.#call.event('reoffer', { directions: offer.lines.map(({ direction }) => direction) });
    return sdp;
  }

  async offerAnew(content: RequestContent): Promise<string> {
    const sdp = await this.media.makeOffer(OWN_LINES.plain);
    this.#learn(content);
    return sdp;
  }

  async acceptAnswer(...[answer, content]: Parameters<DialogUser['acceptAnswer']>): Promise<void> {
    await this.media.applyAnswer(answer);
    this.#learn(content);
    this.#call.mediaAgreed();
    this.#call.changed();
    this.#call.event('answer', { directions: answer.lines.map(({ direction }) => direction) });
  }

  informed(...[method, content]: Parameters<DialogUser['informed']>): void {
    this.#learn(content);
    if (content.metadata !== undefined) this.#call.event('metadata', { method });
  }

  noted(...[kind, detail]: Parameters<DialogUser['noted']>): void {
    this.#call.event(kind, detail);
  }

  ended(...[reason]: Parameters<DialogUser['ended']>): void {
    this.#call.dialogGone(this, reason);
  }

  /** Somebody says who speaks on a leg of this dialog. @returns whether that is new */
  setRole(leg: Leg, role: PartyRole, by: string): boolean {
    const event = this.parties.setRole(leg.legNo, role, by, this.#call.now());
    leg.party = this.parties.partyOf(leg.legNo);
    if (event === undefined) return false;
    this.#call.event(event.kind, event.detail, leg, event.at);
    this.#call.changed();
    return true;
  }

  /** Sends BYE and waits for its answer within a bound. @throws what the BYE met with */
  async hangUp(reason: EndReason): Promise<void> {
    await this.#established?.hangUp(reason);
  }

  /** Takes over who speaks on which leg; a fault becomes an event, the call goes on. */
  #learn(content: RequestContent): void {
    if (content.metadataFault !== undefined) {
      this.#call.event('metadata_malformed', {
        code: content.metadataFault.code,
        reason: content.metadataFault.message,
        text: content.metadataText,
      });
    }
    this.parties.learn(content, this.#call.now());
    this.#assign();
    if (content.metadata !== undefined) this.#call.changed();
  }

  #assign(): void {
    const { lineLegs } = this.media;
    const legs = lineLegs.map(({ index, label, information, leg }) => ({
      index,
      label,
      information,
      legNo: leg.legNo,
    }));
    const events = this.parties.assign(legs, this.#call.now());
    for (const { leg } of lineLegs) leg.party = this.parties.partyOf(leg.legNo);
    for (const { kind, detail, legNo, at } of events) {
      const leg = lineLegs.find((each) => each.leg.legNo === legNo)?.leg;
      // A leg's holds are intervals of its own, whatever tells of them.
      if (leg !== undefined && kind === 'hold') leg.sentByMetadata('not-sent');
      else if (leg !== undefined && kind === 'resume') leg.sentByMetadata('sent');
      else this.#call.event(kind, detail, leg, at);
    }
  }
}
