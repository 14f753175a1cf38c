import { CallscribeError, toError } from '../errors.ts';
import { type CallId, newCallId } from '../ids.ts';
import type { CallRecording, Recordings } from '../recording/recordings.ts';
import { IdentifierSet } from '../sip/identifiers.ts';
import { weakestMapping } from '../sip/parties.ts';
import type { PartyRole } from '../sip/role-rules.ts';
import type { OfferedLine } from '../sip/sdp.ts';
import type { FinalSentence } from '../transcript/sentence.ts';
import type { VoicemailTerms } from '../voicemail/terms.ts';
import { CallDialog, type CallDialogOptions, type DialogCall } from './call-dialog.ts';
import { CallEvents } from './call-events.ts';
import { CallPause, type PauseState } from './call-pause.ts';
import { CallVoicemail } from './call-voicemail.ts';
import type { CallJournal, OpenCallJournal } from './journal.ts';
import { leaveCall, type LeavingCall } from './leave-call.ts';
import { Leg } from './leg.ts';
import type { LegServices } from './leg-services.ts';
import { type CallPolicy, routeRecord } from './policy.ts';
import type { CallRecord, EndReason } from './record.ts';
import type { KeepUnrecognised } from './unrecognised.ts';

export interface CallServices extends LegServices {
  readonly recordings: Pick<Recordings, 'openCall'>;
  readonly openJournal: OpenCallJournal;
  readonly keepUnrecognised: KeepUnrecognised;
}

export interface CallOptions {
  /** Whether this process takes one more leg; asked before each is opened. */
  readonly mayOpenLeg: () => boolean;
  readonly onClosed: () => void;
  /** What is left of an ended call is being put away. It resolves when nothing of it is on disk but its recording. */
  readonly onLeaving: (left: Promise<void>) => void;
}

/** How many dialogs one call may have over its life: two as a rule, more where ends come and go. */
const DIALOGS_MAX = 32;

/**
 * One call, from its first offer to its last sentence:
 *
 *     opening ──first dialog answered──▶ active ──last dialog gone──▶ ending ──▶ closed
 *        └─────────────────last dialog gone──────────────────────────────────────┘
 *
 * Most calls have one dialog; those whose ends come in dialogs of their own have several, and each ends its own
 * legs only. Closing order: every leg at once (late packets, last samples, last words, ports; see Leg), then the
 * record with the number of sentences of each leg, so that the store can tell when the call is complete.
 */
export class Call implements DialogCall {
  readonly id: CallId;
  readonly #services: CallServices;
  readonly #policy: CallPolicy;
  readonly #options: CallOptions;
  readonly #startedAt: Date;
  readonly #recording: CallRecording;
  readonly #journal: CallJournal;
  readonly #voicemail: CallVoicemail | undefined;
  /** Every dialog that the call ever had, by its arrival; those that stand. */
  readonly #dialogs: CallDialog[] = [];
  readonly #standing = new Set<CallDialog>();
  /** Every leg that was ever opened, by leg number. */
  #legs: Leg[] = [];
  #legNumbers = 0;
  #state: 'opening' | 'active' | 'ending' | 'closed' = 'opening';
  #answeredAt: Date | undefined;
  #endedAt: Date | undefined;
  #endReason: EndReason | undefined;
  #revision = 0;
  readonly #events: CallEvents;
  #closing: Promise<void> | undefined;
  readonly #pause = new CallPause({
    legs: () => this.#legs.filter((leg) => !leg.isClosed),
    onEvent: (kind, detail) => {
      this.event(kind, detail);
    },
    now: () => this.now(),
  });

  constructor(services: CallServices, policy: CallPolicy, options: CallOptions) {
    this.#services = services;
    this.#policy = policy;
    this.#options = options;
    this.#startedAt = services.clock.wallTime();
    this.id = newCallId(this.#startedAt);
    this.#recording = services.recordings.openCall(
      { callId: this.id, startedAt: this.#startedAt },
      policy.recording,
    );
    this.#journal = services.openJournal(this.id);
    const { publisher, live, clock } = services;
    this.#events = new CallEvents({ callId: this.id, publisher, live, journal: this.#journal, clock });
    this.#voicemail = policy.voicemail === undefined ? undefined : this.#openVoicemail(policy.voicemail);
  }

  get tenant(): string {
    return this.#policy.tenant;
  }

  /** Legs that are not closed yet: they hold their ports. */
  get legCount(): number {
    return this.#legs.reduce((sum, leg) => sum + (leg.isClosed ? 0 : 1), 0);
  }

  /** Dialogs that stand. */
  get dialogs(): readonly CallDialog[] {
    return [...this.#standing];
  }

  /** Whether one more dialog may join. */
  get isJoinable(): boolean {
    return this.#closing === undefined && this.#dialogs.length < DIALOGS_MAX;
  }

  /**
   * One more dialog of the call, with its legs bound when this resolves.
   *
   * @throws {CallscribeError} SIP_NO_COMMON_CODEC, RTP_PORTS_EXHAUSTED; the call stands without it, if it stood
   */
  async addDialog(options: Omit<CallDialogOptions, 'call' | 'roleRules' | 'side'>): Promise<CallDialog> {
    const { roleRules, side } = this.#policy;
    const dialog = new CallDialog({ ...options, call: this, roleRules, side });
    this.#dialogs.push(dialog);
    this.#standing.add(dialog);
    try {
      await dialog.open();
    } catch (error) {
      await this.#remove(dialog, 'bye');
      throw error;
    }
    return dialog;
  }

  /** The 200 is on its way; from the first one on the call has rows. */
  dialogAnswered(dialog: CallDialog): void {
    const { logger } = this.#services;
    const dialogs = this.#dialogs.length;
    logger.info(
      { callId: this.id, legs: this.legCount, mapping: dialog.parties.mapping, dialogs },
      'call answered',
    );
    if (this.#state === 'opening') {
      this.#state = 'active';
      this.#answeredAt = this.now();
      this.changed();
      this.#events.answered();
    } else {
      this.changed();
      this.event('dialog_joined', { sipCallId: dialog.sipCallId });
    }
    if (dialog.place !== undefined) this.#journal.dialog(dialog.place);
    if (!dialog.awaitsAnswer) this.#voicemail?.begin();
  }

  mediaAgreed(): void {
    if (this.isRunning) this.#voicemail?.begin();
  }

  dialogGone(dialog: CallDialog, reason: EndReason): void {
    this.#remove(dialog, reason).catch((error: unknown) => {
      this.#services.logger.error({ err: toError(error), callId: this.id }, 'call did not end cleanly');
    });
  }

  /** Whether it was answered and has not begun to end: only then it takes commands. */
  get isRunning(): boolean {
    return this.#state === 'active' && this.#closing === undefined;
  }

  /** From here on nothing is kept of what is said and pressed. @param by who asked for it; see `CallPause` */
  pause(by: string): PauseState {
    return this.#pause.pause(by);
  }

  resume(by: string): Promise<PauseState> {
    return this.#pause.resume(by);
  }

  /** See `CallParties.setRole`. */
  relabel(
    legNo: number,
    role: PartyRole,
    by: string,
  ): { readonly found: boolean; readonly changed: boolean } {
    const leg = this.#legs.find((each) => each.legNo === legNo);
    const dialog = this.#dialogs.find(({ parties }) => parties.knows(legNo));
    if (leg === undefined || dialog === undefined) return { found: false, changed: false };
    return { found: true, changed: dialog.setRole(leg, role, by) };
  }

  /** Ends the call from our side, by BYE; resolves when that is answered, or was given up. Never rejects. */
  async hangUp(reason: EndReason): Promise<void> {
    await Promise.all([...this.#standing].map((dialog) => this.hangUpDialog(dialog, reason)));
    await this.#closing;
  }

  /** Ends one dialog from our side, and the call with its last one. Never rejects. */
  async hangUpDialog(dialog: CallDialog, reason: EndReason): Promise<void> {
    const goodbye = dialog.hangUp(reason).catch((error: unknown) => {
      this.#services.logger.warn({ err: toError(error), callId: this.id }, 'BYE was not answered');
    });
    await Promise.all([goodbye, this.#remove(dialog, reason)]);
  }

  /** Resolves when the dialog's legs are ended, and the call's last sentence is handed over if it was the last. */
  async #remove(dialog: CallDialog, reason: EndReason): Promise<void> {
    if (!this.#standing.delete(dialog)) return;
    dialog.gone();
    this.#journal.dialogGone(dialog.sipCallId);
    if (this.#standing.size === 0) {
      this.#closing ??= this.#close(reason);
      await this.#closing;
      return;
    }
    await dialog.media.end();
    if (dialog.established === undefined) {
      // It never came to be, and leaves nothing.
      const legs = new Set(dialog.media.lineLegs.map(({ leg }) => leg));
      this.#legs = this.#legs.filter((leg) => !legs.has(leg));
      return;
    }
    this.event('dialog_ended', { sipCallId: dialog.sipCallId, reason });
    this.changed();
  }

  async #close(reason: EndReason): Promise<void> {
    const wasAnswered = this.#answeredAt !== undefined;
    this.#state = 'ending';
    this.#endReason = reason;
    this.#endedAt = this.now();
    this.#voicemail?.leave();
    await Promise.all(this.#dialogs.map(({ media }) => media.end()));
    this.#voicemail?.end();
    this.#state = 'closed';
    this.#options.onClosed();
    if (!wasAnswered) {
      this.#options.onLeaving(this.#recording.remove().then(() => this.#journal.remove()));
      return;
    }
    const sentences = this.#legs.reduce((sum, leg) => sum + (leg.record().sentenceCount ?? 0), 0);
    this.#services.logger.info({ callId: this.id, reason, sentences }, 'call ended');
    this.changed();
    this.#journal.ended();
    const left: LeavingCall = {
      record: this.#record(),
      recording: this.#recording,
      journal: this.#journal,
      events: this.#events,
      owed: this.#legs.flatMap((leg) => leg.owed ?? []),
    };
    this.#options.onLeaving(leaveCall(this.#services, left));
  }

  async openLeg(line: OfferedLine, when: 'first' | 'later', peerAddress: string): Promise<Leg | undefined> {
    const { logger } = this.#services;
    if (!this.#options.mayOpenLeg()) {
      if (when === 'later') return undefined;
      throw new CallscribeError(
        'RTP_PORTS_EXHAUSTED',
        'legs: the limit of this process is reached (MAX_LEGS)',
        {
          retryable: true,
        },
      );
    }
    // A message has one leg.
    if (this.#voicemail !== undefined && this.#legNumbers > 0) return undefined;
    // Taken before the ports are bound: two dialogs may open their legs at the same time.
    const legNo = (this.#legNumbers += 1) - 1;
    const leg = await Leg.open(this.#services, {
      callId: this.id,
      policy: this.#policy,
      legNo,
      line,
      peerAddress,
      attendant: this.#voicemail,
      openRecorder: (legId) => this.#recording.openLeg({ legId, legNo }),
      onChange: () => {
        this.changed();
      },
      onSentence: (sentence) => {
        this.#sentenceGiven(sentence);
      },
      onEvent: (kind, detail, from) => {
        this.event(kind, detail, from);
      },
    }).catch((error: unknown) => {
      if (when === 'first') throw error;
      logger.warn({ err: toError(error), callId: this.id }, 'no leg for one more line');
      return undefined;
    });
    if (leg === undefined) return undefined;
    if (this.#closing !== undefined) {
      // The call ended while the ports were being bound; its record does not know this leg.
      await leg.end();
      return undefined;
    }
    this.#legs.push(leg);
    this.#voicemail?.attend(leg);
    this.#pause.follow(leg);
    return leg;
  }

  #openVoicemail(terms: VoicemailTerms): CallVoicemail {
    const { clock, metrics } = this.#services;
    return new CallVoicemail({
      terms,
      clock,
      metrics,
      onEvent: (kind, detail, leg) => {
        this.event(kind, { ...detail }, leg);
      },
      hangUp: () => void this.hangUp('voicemail'),
    });
  }

  now(): Date {
    return this.#services.clock.wallTime();
  }

  /** What is in the outbox need not be recognised again. */
  #sentenceGiven({ legNo, sentenceNo, endMs }: FinalSentence): void {
    void this.#services.publisher.written().then((where) => {
      if (where === 'written') this.#journal.sentence(legNo, sentenceNo, endMs);
    });
  }

  /** Calls that were never answered leave no row. */
  changed(): void {
    if (this.#answeredAt === undefined) return;
    this.#revision += 1;
    const record = this.#record();
    this.#services.publisher.publishCall(record);
    this.#journal.record(record);
    this.#services.live.emit('call', record);
  }

  event(kind: string, detail: Readonly<Record<string, unknown>>, leg?: Leg, at?: Date): void {
    this.#events.add(kind, detail, leg?.id, at);
  }

  /** What the first dialog tells of the call, and every id by which any of them is known. */
  #record(): CallRecord {
    const [first] = this.#dialogs;
    if (first === undefined) throw new Error('unreachable: a call is recorded when a dialog was answered');
    const heard = this.#legs.filter((leg) => leg.record().startedAt !== undefined);
    const noneRecognised = heard.length > 0 && heard.every((leg) => leg.recognitionFailed);
    const identifiers = new IdentifierSet();
    const route = routeRecord(this.#policy);
    for (const { parties } of this.#dialogs) identifiers.add(parties.identifiers);
    return {
      id: this.id,
      revision: this.#revision,
      state: this.#state === 'closed' ? (noneRecognised ? 'failed' : 'finishing') : 'active',
      sipCallId: first.sipCallId,
      tenant: this.#policy.tenant,
      direction: first.parties.direction,
      mapping: weakestMapping(this.#dialogs.map(({ parties }) => parties.mapping)),
      startedAt: this.#startedAt,
      answeredAt: this.#answeredAt,
      endedAt: this.#endedAt,
      endReason: this.#endReason,
      metadata: route === undefined ? first.parties.record : { ...first.parties.record, route },
      identifiers: identifiers.all,
      legs: this.#legs.map((leg) => leg.record()),
    };
  }
}
