import { randomInt } from 'node:crypto';

import { CallscribeError } from '../errors.ts';
import { isAcceptable, type OfferedLine, type SdpOffer } from '../sip/sdp.ts';
import { type AnswerSession, type LineAnswer, type MediaSide, writeAnswer } from '../sip/sdp-answer.ts';
import { agreeLine, OWN_LINE, widenLine, writeOffer } from '../sip/sdp-offer.ts';
import type { Leg } from './leg.ts';

export interface MediaSessionOptions {
  /** Where media is to be sent; stands in our descriptions. */
  readonly mediaAddress: string;
  readonly side: MediaSide;
  /**
   * Opens a leg for a line. For a session that stands, undefined where there is no room: a call is not ended
   * because its next line finds none. Undefined also where the call ended meanwhile.
   *
   * @throws {CallscribeError} RTP_PORTS_EXHAUSTED for the session's first lines
   */
  readonly openLeg: (line: OfferedLine, when: 'first' | 'later') => Promise<Leg | undefined>;
}

/** A leg that stands behind an m-line. */
export interface LineLeg {
  /** The m-line's position, from 0. */
  readonly index: number;
  readonly label: string | undefined;
  readonly information: string | undefined;
  readonly leg: Leg;
}

interface Line {
  /** As it was offered or agreed last; where it is closed, as it was before it closed. */
  agreed: OfferedLine;
  /** Port 0 on either side, or nothing that we take, closes a line. Its leg waits, the clock runs on. */
  open: boolean;
  leg: Leg | undefined;
}

/**
 * What one dialog has agreed on about media, by offers of either side (RFC 3264, 6337): its lines, the legs
 * behind them, and our description of it all. One exchange at a time, the next one waits.
 */
export class MediaSession {
  readonly #options: MediaSessionOptions;
  readonly #sessionId = String(randomInt(1, 2 ** 47));
  readonly #lines: Line[] = [];
  readonly #legs: Leg[] = [];
  #description: { readonly sdp: string; readonly version: number } | undefined;
  #stands = false;
  #awaitsAnswer = false;
  #applying: Promise<unknown> = Promise.resolve();

  constructor(options: MediaSessionOptions) {
    this.#options = options;
  }

  /** Our description as last sent. */
  get localSdp(): string | undefined {
    return this.#description?.sdp;
  }

  /** Whether our first offer has no answer yet. */
  get awaitsAnswer(): boolean {
    return this.#awaitsAnswer;
  }

  /** The legs of lines, in the order of the lines. */
  get lineLegs(): readonly LineLeg[] {
    return this.#lines.flatMap(({ agreed, leg }, index) =>
      leg === undefined ? [] : [{ index, label: agreed.label, information: agreed.information, leg }],
    );
  }

  get packetsReceived(): number {
    return this.#legs.reduce((sum, leg) => sum + leg.packetsReceived, 0);
  }

  /** Whether every sender has said goodbye. */
  get hasEnded(): boolean {
    return this.#legs.length > 0 && this.#legs.every((leg) => leg.saidGoodbye);
  }

  /**
   * Opens a leg for every new line that can be taken, and closes lines that were switched off.
   *
   * @returns the answer
   * @throws {CallscribeError} SIP_NO_COMMON_CODEC when no line can be taken, RTP_PORTS_EXHAUSTED when ports or
   *   the leg limit do not suffice for a first offer; what stood before stands on
   */
  applyOffer(offer: SdpOffer): Promise<string> {
    return this.#exclusively(() => this.#applyOffer(offer));
  }

  /** Our offer: of `lineCount` lines where there are none yet, else of all that stand. @throws as `applyOffer` */
  makeOffer(lineCount: number): Promise<string> {
    return this.#exclusively(() => this.#makeOffer(lineCount));
  }

  /** The peer's answer to our offer. @throws {CallscribeError} SIP_NO_COMMON_CODEC when it leaves no line */
  applyAnswer(answer: SdpOffer): Promise<void> {
    return this.#exclusively(() => {
      this.#applyAnswer(answer);
    });
  }

  /** Ends every leg. Never rejects. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#legs.map((leg) => leg.end()));
  }

  #exclusively<T>(exchange: () => T | Promise<T>): Promise<T> {
    const done = this.#applying.then(exchange);
    this.#applying = done.catch(() => undefined);
    return done;
  }

  async #applyOffer(offer: SdpOffer): Promise<string> {
    const isPause = this.#stands && offer.lines.every(({ port }) => port === 0);
    if (!isPause && !offer.lines.some((line, index) => isAcceptable(line, index))) {
      throw new CallscribeError(
        'SIP_NO_COMMON_CODEC',
        `offer: found ${offer.lines.length} line(s) without G.711 over RTP or SRTP by a=crypto, expected PCMU or PCMA in one`,
      );
    }
    const answers: LineAnswer[] = [];
    for (const [index, line] of offer.lines.entries()) {
      const isTaken = isAcceptable(line, index) && (await this.#take(index, line));
      if (!isTaken) this.#close(index, line);
      answers.push(this.#portsOf(index));
    }
    for (let index = offer.lines.length; index < this.#lines.length; index++) this.#close(index, undefined);
    this.#stands = true;
    return this.#describe((session) => writeAnswer(offer, answers, session));
  }

  async #makeOffer(lineCount: number): Promise<string> {
    if (this.#lines.length === 0) {
      for (let index = 0; index < lineCount; index++) await this.#take(index, OWN_LINE);
      this.#awaitsAnswer = true;
    } else {
      for (const line of this.#lines) {
        if (line.leg === undefined) continue;
        line.agreed = widenLine(line.agreed);
        line.open = true;
        line.leg.reoffered(line.agreed);
      }
    }
    const own = this.#lines.map(({ agreed }, index) => ({ line: agreed, ports: this.#portsOf(index) }));
    return this.#describe((session) => writeOffer(own, session));
  }

  #applyAnswer(answer: SdpOffer): void {
    const agreed = this.#lines.map(({ agreed: offered }, index) => {
      const line = answer.lines[index];
      return line === undefined || line.port === 0 ? undefined : agreeLine(offered, line);
    });
    const isTaken = agreed.map((line, index) => line !== undefined && isAcceptable(line, index));
    if (this.#awaitsAnswer && !isTaken.includes(true)) {
      throw new CallscribeError(
        'SIP_NO_COMMON_CODEC',
        `answer: found ${answer.lines.length} line(s), expected one with G.711 of the ${agreed.length} that we offered`,
      );
    }
    this.#awaitsAnswer = false;
    this.#stands = true;
    for (const [index, line] of this.#lines.entries()) {
      const found = agreed[index];
      if (found === undefined || isTaken[index] !== true) this.#close(index, answer.lines[index]);
      else {
        line.agreed = found;
        line.leg?.reoffered(found);
      }
    }
  }

  /** @returns whether there is a leg behind the line now */
  async #take(index: number, offered: OfferedLine): Promise<boolean> {
    const standing = this.#lines[index];
    // RFC 3264 §8.2: the place of a line that was switched off may be given to another.
    const isAnother =
      standing !== undefined &&
      !standing.open &&
      standing.leg !== undefined &&
      offered.label !== undefined &&
      standing.agreed.label !== undefined &&
      offered.label !== standing.agreed.label;
    if (standing?.leg !== undefined && !isAnother) {
      standing.agreed = offered;
      standing.open = true;
      standing.leg.reoffered(offered);
      return true;
    }
    if (isAnother) void standing.leg?.end();
    const leg = await this.#options.openLeg(offered, this.#stands ? 'later' : 'first');
    this.#lines[index] = { agreed: offered, open: leg !== undefined, leg };
    if (leg !== undefined) this.#legs.push(leg);
    return leg !== undefined;
  }

  /** The leg of a line that is off goes on without media: a line may be revived, and its clock runs on. */
  #close(index: number, offered: OfferedLine | undefined): void {
    const line = this.#lines[index];
    if (line === undefined) {
      if (offered !== undefined) this.#lines[index] = { agreed: offered, open: false, leg: undefined };
      return;
    }
    if (line.leg === undefined) {
      if (offered !== undefined) line.agreed = offered;
    } else if (line.open) line.leg.reoffered({ ...line.agreed, port: 0 });
    line.open = false;
  }

  #portsOf(index: number): LineAnswer {
    const line = this.#lines[index];
    if (line?.leg === undefined || !line.open) return { kind: 'refuse' };
    const { rtpPort, rtcpPort, crypto } = line.leg;
    return { kind: 'accept', rtpPort, rtcpPort, crypto };
  }

  /** RFC 3264 §8: the version grows by one when the description changes, and only then. */
  #describe(write: (session: AnswerSession) => string): string {
    const { mediaAddress, side } = this.#options;
    const writeAs = (version: number): string =>
      write({ sessionId: this.#sessionId, version, address: mediaAddress, side });
    const version = this.#description?.version ?? 1;
    const same = writeAs(version);
    this.#description =
      this.#description === undefined || same === this.#description.sdp
        ? { sdp: same, version }
        : { sdp: writeAs(version + 1), version: version + 1 };
    return this.#description.sdp;
  }
}
