import { randomInt, randomUUID } from 'node:crypto';

import { type Clock, systemClock } from '../clock.ts';
import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Pacer } from '../pacer.ts';
import type { SipProtocol } from '../sipstack/flow.ts';
import { type AnsweredLine, readAnswer } from './answer.ts';
import { type HeardLeg, sendCallAudio } from './call-audio.ts';
import type { ByeOutcome, CallMode, CallOutcome, CallReport, LegReport } from './call-report.ts';
import { Hearing } from './hearing.ts';
import type { Impairments } from './impairment-plan.ts';
import { type InviteBody, writeSiprecBody } from './invite-body.ts';
import type { KeyPress } from './key-plan.ts';
import { type CallSrtp, keyOf, type LegKey } from './leg-key.ts';
import type { LegSource } from './leg-source.ts';
import { MediaSockets } from './media-sockets.ts';
import { writeOffer } from './offer.ts';
import { CallRefused, type OutgoingCall, placeOutgoingCall } from './outgoing-call.ts';
import { writeRecordingMetadata } from './recording-metadata.ts';
import type { SipTarget } from './sip-target.ts';
import { CallerUserAgent } from './user-agent.ts';

export interface CallerOptions {
  readonly target: SipTarget;
  readonly transport: SipProtocol;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface PlaceCallOptions {
  readonly mode: CallMode;
  /** One for `plain`, two for `two-legs`, any number from one on for `siprec`. */
  readonly legs: readonly [LegSource, ...LegSource[]];
  /** Packet time, 10 to 60 ms. Default: 20. */
  readonly ptimeMs?: number;
  readonly impairments?: Impairments;
  /** Offers these lines over SRTP, with keys by chance. Default: none. */
  readonly srtp?: CallSrtp | undefined;
  /** Pressed on the first leg, in place of its audio (RFC 4733). */
  readonly keys?: readonly KeyPress[];
  /** Silence follows the audio until the peer hangs up; after this time we do. Default: we do at once. */
  readonly untilByeMs?: number | undefined;
  /** What came back, once the call is over; without it nothing is kept. The peer of a plain call alone may speak. */
  readonly onHeard?: (legs: readonly HeardLeg[]) => void;
  /** Of every leg, for trying the wrap. Default: by the seed. */
  readonly firstSequenceNumber?: number;
  /** Decides losses, SSRCs and first sequence numbers. Default: by chance. */
  readonly seed?: number;
  /** Address of record for From. Default: the caller's own. */
  readonly from?: string;
  /** Further header lines of the INVITE. */
  readonly headers?: readonly string[];
  /** How long the final answer to the INVITE may take. Default: 32 s, as long as a transaction lives. */
  readonly answerTimeoutMs?: number;
  /** Ends the call in order: CANCEL before the answer, BYE after it. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: CallProgress) => void;
}

/** What happens between the INVITE and the report. */
export type CallProgress =
  | { readonly kind: 'inviting'; readonly callId: string }
  | { readonly kind: 'provisional'; readonly callId: string; readonly status: number }
  | { readonly kind: 'answered'; readonly callId: string; readonly lines: readonly AnsweredLine[] }
  | { readonly kind: 'hanging-up'; readonly callId: string };

const ANSWER_TIMEOUT_MS = 32_000;

/**
 * Places calls to one target, any number at once, all from one SIP socket and one timer. Loads `node-rtp`, which
 * adds a method to Number.prototype: run it in a process of its own.
 *
 * @throws {CallscribeError} `SIP_NO_ANSWER` when there is no way to the target
 */
export async function openCaller(options: CallerOptions): Promise<Caller> {
  const userAgent = await CallerUserAgent.open({
    target: options.target,
    protocol: options.transport,
    ...(options.logger === undefined ? {} : { logger: options.logger }),
  });
  return new Caller(userAgent, options);
}

export class Caller implements AsyncDisposable {
  readonly #userAgent: CallerUserAgent;
  readonly #target: SipTarget;
  readonly #clock: Clock;
  readonly #pacer: Pacer;

  constructor(userAgent: CallerUserAgent, options: CallerOptions) {
    this.#userAgent = userAgent;
    this.#target = options.target;
    this.#clock = options.clock ?? systemClock;
    this.#pacer = new Pacer(this.#clock);
  }

  /** The latest that any packet of any call left after it was due. */
  get worstLateMs(): number {
    return this.#pacer.worstLateMs;
  }

  /** Places one call and stays with it to its end. Never rejects: the outcome says what went wrong. */
  async placeCall(options: PlaceCallOptions): Promise<CallReport> {
    let bye: ByeOutcome | undefined;
    const report = await this.#placeCall(options, (outcome) => (bye = outcome));
    return bye === undefined ? report : { ...report, bye };
  }

  async #placeCall(
    options: PlaceCallOptions,
    onBye: (outcome: ByeOutcome | undefined) => void,
  ): Promise<CallReport> {
    const callId = `${randomUUID()}@${this.#userAgent.localHost}`;
    const { legs, mode, seed = randomInt(2 ** 32) } = options;
    const unsent = legs.map(({ label, codec }): LegReport => ({ kind: 'unsent', label, codec }));
    const report = (outcome: CallOutcome, sent: readonly LegReport[] = unsent): CallReport => ({
      callId,
      mode,
      seed,
      outcome,
      legs: sent,
    });
    const isAborted = (): boolean => options.signal?.aborted === true;
    if (isAborted()) return report({ kind: 'aborted' });
    const sockets: MediaSockets[] = [];
    try {
      while (sockets.length < legs.length) sockets.push(await MediaSockets.open(this.#userAgent.localHost));
      const keys = legs.map((_, legNo) => keyOf(options.srtp, legNo));
      const hearings =
        options.onHeard === undefined ? [] : sockets.map((pair) => new Hearing(pair, this.#clock));
      const call = await this.#invite(callId, options, sockets, keys);
      try {
        const lines = readAnswer(call.answer, legs.length);
        options.onEvent?.({ kind: 'answered', callId, lines });
        const { onHeard, signal } = options;
        const audio = await sendCallAudio({
          ...options,
          seed,
          legs: legs.map((source, legNo) => ({
            source,
            line: lines[legNo]!,
            sockets: sockets[legNo]!,
            key: keys[legNo],
            hearing: hearings[legNo],
          })),
          ended: AbortSignal.any([call.peerEnded, ...(signal === undefined ? [] : [signal])]),
          pacer: this.#pacer,
          clock: this.#clock,
        });
        onHeard?.(audio.heard);
        return report(endOf(options, call.peerEnded.aborted, audio.isWhole), audio.legs);
      } finally {
        options.onEvent?.({ kind: 'hanging-up', callId });
        onBye(await call.hangUp());
      }
    } catch (thrown) {
      if (isAborted()) return report({ kind: 'aborted' });
      return report(outcomeOf(toError(thrown)));
    } finally {
      await Promise.all(sockets.map((pair) => pair.close()));
    }
  }

  #invite(
    callId: string,
    options: PlaceCallOptions,
    sockets: readonly MediaSockets[],
    keys: readonly (LegKey | undefined)[],
  ): Promise<OutgoingCall> {
    const { mode, onEvent } = options;
    onEvent?.({ kind: 'inviting', callId });
    return placeOutgoingCall({
      userAgent: this.#userAgent,
      target: this.#target,
      callId,
      from: options.from,
      headers: [...(mode === 'siprec' ? ['Require: siprec'] : []), ...(options.headers ?? [])],
      // RFC 7866 §6.1.1: the feature tag of a session recording client.
      contactParameters: mode === 'siprec' ? ';+sip.src' : '',
      body: this.#body(options, sockets, keys),
      answerTimeoutMs: options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS,
      signal: options.signal ?? new AbortController().signal,
      onProvisional: (status) => onEvent?.({ kind: 'provisional', callId, status }),
    });
  }

  #body(
    options: PlaceCallOptions,
    sockets: readonly MediaSockets[],
    keys: readonly (LegKey | undefined)[],
  ): InviteBody {
    const { mode, legs, ptimeMs = 20 } = options;
    const sdp = writeOffer({
      address: this.#userAgent.localHost,
      sessionId: randomInt(2 ** 31),
      ptimeMs,
      direction: mode === 'plain' ? 'sendrecv' : 'sendonly',
      lines: legs.map(({ codec, label }, legNo) => ({
        port: sockets[legNo]!.rtpPort,
        codec,
        crypto: keys[legNo],
        ...(mode === 'plain' ? {} : { label }),
      })),
    });
    if (mode !== 'siprec') return { contentType: 'application/sdp', content: sdp };
    const newId = (): string => Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64');
    return writeSiprecBody(sdp, writeRecordingMetadata({ legs, startedAt: this.#clock.wallTime(), newId }));
  }

  /** Stops sending and frees the socket. Calls that are still on are not hung up; abort them first. */
  async close(): Promise<void> {
    this.#pacer[Symbol.dispose]();
    await this.#userAgent.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function endOf({ signal, untilByeMs }: PlaceCallOptions, peerEnded: boolean, isWhole: boolean): CallOutcome {
  if (peerEnded) return { kind: untilByeMs !== undefined && isWhole ? 'completed' : 'ended-by-peer' };
  if (signal?.aborted === true) return { kind: 'aborted' };
  return { kind: untilByeMs === undefined ? 'completed' : 'not-ended-by-peer' };
}

function outcomeOf(error: Error): CallOutcome {
  if (error instanceof CallRefused) return { kind: 'refused', status: error.status, message: error.message };
  const code = error instanceof CallscribeError ? error.code : (systemCode(error) ?? error.name);
  return { kind: 'failed', code, message: error.message };
}
