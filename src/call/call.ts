import { randomInt } from 'node:crypto';

import { CallscribeError, toError } from '../errors.ts';
import { type CallId, newCallId } from '../ids.ts';
import { directionOf, readIdentifiers, type RequestContent, type RequestText } from '../sip/invite.ts';
import { matchParties } from '../sip/parties.ts';
import type { RecordingMetadata } from '../sip/rs-metadata.ts';
import { isAcceptable, type SdpOffer } from '../sip/sdp.ts';
import { type LineAnswer, writeAnswer } from '../sip/sdp-answer.ts';
import { Leg, type LegServices } from './leg.ts';
import type { CallEvent, CallRecord, EndReason } from './record.ts';

export interface CallServices extends LegServices {
  readonly model: string;
  readonly vocabularyId: string | undefined;
}

export interface CallOptions {
  readonly sipCallId: string;
  readonly request: RequestText;
  readonly content: RequestContent;
  readonly recording: boolean;
  /** Where media is to be sent; stands in our answers. */
  readonly mediaAddress: string;
  /** How many more legs this process takes; asked before each is opened. */
  readonly mayOpenLeg: () => boolean;
  readonly onClosed: () => void;
}

/**
 * One call, from its first offer to its last sentence:
 *
 *     opening ──answered()──▶ active ──end()──▶ ending ──▶ closed
 *        └──────abandon()────────────────────────────────────┘
 *
 * Closing order: every leg at once (late packets, last samples, last words, ports; see Leg), then the record
 * with the number of sentences of each leg, so that the store can tell when the call is complete.
 */
export class Call {
  readonly id: CallId = newCallId();
  readonly #services: CallServices;
  readonly #options: CallOptions;
  readonly #startedAt: Date;
  readonly #sessionId = String(randomInt(1, 2 ** 47));
  /** Every leg that was ever opened, by leg number. */
  readonly #legs: Leg[] = [];
  /** The leg that stands behind an m-line now, by the line's index. */
  readonly #legOfLine = new Map<number, Leg>();
  #state: 'opening' | 'active' | 'ending' | 'closed' = 'opening';
  #answer: { readonly sdp: string; readonly version: number } | undefined;
  #metadata: RecordingMetadata | undefined;
  #mapping: CallRecord['mapping'] = 'none';
  #labels: readonly (string | undefined)[] = [];
  #answeredAt: Date | undefined;
  #endedAt: Date | undefined;
  #endReason: EndReason | undefined;
  #revision = 0;
  #eventNo = 0;
  /** Held back, because a call that is never answered leaves no row. */
  readonly #eventsBeforeAnswer: CallEvent[] = [];
  /** The offer that is being applied; the next one waits for it. */
  #applying: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #hangUp: (() => Promise<void>) | undefined;

  constructor(services: CallServices, options: CallOptions) {
    this.#services = services;
    this.#options = options;
    this.#startedAt = services.clock.wallTime();
  }

  get legCount(): number {
    return this.#legOfLine.size;
  }

  /** Our description of the session as last answered. */
  get localSdp(): string | undefined {
    return this.#answer?.sdp;
  }

  /**
   * Opens a leg for every new line that can be taken and ends those of lines that were switched off.
   *
   * @returns the answer
   * @throws {CallscribeError} SIP_NO_COMMON_CODEC when no line can be taken, RTP_PORTS_EXHAUSTED when ports or
   *   the leg limit do not suffice for a first offer; the legs that stood before stand on
   */
  applyOffer(offer: SdpOffer, content: RequestContent): Promise<string> {
    const applied = this.#applying.then(() => this.#apply(offer, content));
    this.#applying = applied.catch(() => undefined);
    return applied;
  }

  async #apply(offer: SdpOffer, content: RequestContent): Promise<string> {
    if (!offer.lines.some((line, index) => isAcceptable(line, index))) {
      throw new CallscribeError(
        'SIP_NO_COMMON_CODEC',
        `offer: found ${offer.lines.length} line(s) without G.711 over RTP/AVP, expected PCMU or PCMA in one`,
      );
    }
    const answers: LineAnswer[] = [];
    for (const [index, line] of offer.lines.entries()) {
      const taken = isAcceptable(line, index) ? await this.#legFor(index, offer) : undefined;
      if (taken === undefined) this.#dropLine(index);
      answers.push(
        taken === undefined
          ? { kind: 'refuse' }
          : { kind: 'accept', rtpPort: taken.rtpPort, rtcpPort: taken.rtcpPort },
      );
    }
    this.#labels = offer.lines.map(({ label }) => label);
    this.applyMetadata(content);
    return this.#writeAnswer(offer, answers);
  }

  /** Takes over who speaks on which leg; a fault becomes an event, the call goes on. */
  applyMetadata(content: RequestContent): void {
    if (content.metadataFault !== undefined) {
      this.#event('metadata_malformed', {
        code: content.metadataFault.code,
        reason: content.metadataFault.message,
      });
    }
    if (content.metadata !== undefined) this.#metadata = content.metadata;
    const { parties, mapping } = matchParties(this.#metadata, this.#labels);
    this.#mapping = mapping;
    for (const [index, leg] of this.#legOfLine) {
      const party = parties[index];
      if (party !== undefined) leg.party = party;
    }
    if (content.metadata !== undefined) this.#publish();
  }

  /** The answer is on its way; from here on the call has rows. `hangUp` sends the BYE. */
  answered(hangUp: () => Promise<void>): void {
    if (this.#state !== 'opening') return;
    this.#state = 'active';
    this.#answeredAt = this.#services.clock.wallTime();
    this.#hangUp = hangUp;
    this.#services.logger.info(
      { callId: this.id, legs: this.legCount, mapping: this.#mapping, recording: this.#options.recording },
      'call answered',
    );
    this.#publish();
    for (const event of this.#eventsBeforeAnswer.splice(0)) this.#services.publisher.publishEvent(event);
  }

  /** An in-dialog request that a reader of the call may want to know of. */
  note(kind: string, detail: Readonly<Record<string, unknown>> = {}): void {
    this.#event(kind, detail);
  }

  /** Ends the call from our side, by BYE; resolves when that is answered, or was given up. Never rejects. */
  async hangUp(reason: EndReason): Promise<void> {
    const goodbye = this.#hangUp?.().catch((error: unknown) => {
      this.#services.logger.warn({ err: toError(error), callId: this.id }, 'BYE was not answered');
    });
    await Promise.all([goodbye, this.end(reason)]);
  }

  /** The peer has ended the call, or nobody can. Resolves when every sentence is handed over. Never rejects. */
  end(reason: EndReason): Promise<void> {
    if (this.#state === 'opening') return this.abandon();
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  /** The call was never answered: gives its ports back and leaves no row. Never rejects. */
  abandon(): Promise<void> {
    this.#closing ??= this.#release();
    return this.#closing;
  }

  async #close(reason: EndReason): Promise<void> {
    this.#state = 'ending';
    this.#endReason = reason;
    this.#endedAt = this.#services.clock.wallTime();
    await this.#release();
    const sentences = this.#legs.reduce((sum, leg) => sum + (leg.record().sentenceCount ?? 0), 0);
    this.#services.logger.info({ callId: this.id, reason, sentences }, 'call ended');
    this.#publish();
  }

  async #release(): Promise<void> {
    await Promise.all(this.#legs.map((leg) => leg.end()));
    this.#state = 'closed';
    this.#options.onClosed();
  }

  async #legFor(index: number, offer: SdpOffer): Promise<Leg | undefined> {
    const standing = this.#legOfLine.get(index);
    const line = offer.lines[index];
    if (line === undefined) return undefined;
    if (standing !== undefined) {
      standing.reoffered(line);
      return standing;
    }
    if (!this.#options.mayOpenLeg()) {
      // A call that stands is not ended because its next line finds no room.
      if (this.#state !== 'opening') return undefined;
      throw new CallscribeError(
        'RTP_PORTS_EXHAUSTED',
        'legs: the limit of this process is reached (MAX_LEGS)',
        {
          retryable: true,
        },
      );
    }
    const leg = await Leg.open(this.#services, {
      callId: this.id,
      legNo: this.#legs.length,
      line,
      model: this.#services.model,
      vocabularyId: this.#services.vocabularyId,
      onChange: () => {
        this.#publish();
      },
      onEvent: (kind, detail) => {
        this.#event(kind, detail, leg);
      },
    });
    if (this.#closing !== undefined) {
      // The call ended while the ports were being bound; its record does not know this leg.
      await leg.end();
      return undefined;
    }
    this.#legs.push(leg);
    this.#legOfLine.set(index, leg);
    return leg;
  }

  #dropLine(index: number): void {
    const leg = this.#legOfLine.get(index);
    if (leg === undefined) return;
    this.#legOfLine.delete(index);
    void leg.end();
  }

  /** RFC 3264 §8: the version grows by one when the description changes, and only then. */
  #writeAnswer(offer: SdpOffer, answers: readonly LineAnswer[]): string {
    const write = (version: number): string =>
      writeAnswer(offer, answers, {
        sessionId: this.#sessionId,
        version,
        address: this.#options.mediaAddress,
      });
    const version = this.#answer?.version ?? 1;
    const same = write(version);
    if (this.#answer === undefined || same === this.#answer.sdp) this.#answer = { sdp: same, version };
    else this.#answer = { sdp: write(version + 1), version: version + 1 };
    return this.#answer.sdp;
  }

  /** Calls that were never answered leave no row. */
  #publish(): void {
    if (this.#answeredAt === undefined) return;
    this.#revision += 1;
    const record = this.#record();
    this.#services.publisher.publishCall(record);
    this.#services.live.emit('call', record);
  }

  #event(kind: string, detail: Readonly<Record<string, unknown>>, leg?: Leg): void {
    this.#eventNo += 1;
    const event: CallEvent = {
      callId: this.id,
      legId: leg?.id,
      eventNo: this.#eventNo,
      at: this.#services.clock.wallTime(),
      kind,
      detail,
    };
    if (this.#answeredAt === undefined) this.#eventsBeforeAnswer.push(event);
    else this.#services.publisher.publishEvent(event);
  }

  #record(): CallRecord {
    const { sipCallId, request, recording } = this.#options;
    const heard = this.#legs.filter((leg) => leg.record().startedAt !== undefined);
    const noneRecognised = heard.length > 0 && heard.every((leg) => leg.recognitionFailed);
    return {
      id: this.id,
      revision: this.#revision,
      state: this.#state === 'closed' ? (noneRecognised ? 'failed' : 'finishing') : 'active',
      sipCallId,
      tenant: 'default',
      direction: directionOf(recording),
      mapping: this.#mapping,
      startedAt: this.#startedAt,
      answeredAt: this.#answeredAt,
      endedAt: this.#endedAt,
      endReason: this.#endReason,
      metadata: { kind: recording ? 'siprec' : 'plain', participants: this.#metadata?.participants ?? [] },
      identifiers: readIdentifiers(request, this.#metadata),
      legs: this.#legs.map((leg) => leg.record()),
    };
  }
}
