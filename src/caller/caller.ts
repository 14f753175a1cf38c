import { randomInt, randomUUID } from 'node:crypto';

import { type Clock, systemClock } from '../clock.ts';
import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Pacer } from '../pacer.ts';
import type { SrtpSuite } from '../rtp/srtp-key.ts';
import { Secret } from '../secret.ts';
import type { SipProtocol } from '../sipstack/flow.ts';
import { type AnsweredCrypto, type AnsweredLine, readAnswer } from './answer.ts';
import { planCall } from './call-plan.ts';
import type { ByeOutcome, CallMode, CallOutcome, CallReport, LegReport } from './call-report.ts';
import { type Impairments, NO_IMPAIRMENTS } from './impairment-plan.ts';
import { type InviteBody, writeSiprecBody } from './invite-body.ts';
import { LegProtection, newMasterKey } from './leg-protection.ts';
import { LegSender, type LegSenderOptions } from './leg-sender.ts';
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
  readonly srtp?: { readonly suite: SrtpSuite; readonly lines: 'all' | 'all-but-first' } | undefined;
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
      const call = await this.#invite(callId, options, sockets, keys);
      try {
        const lines = readAnswer(call.answer, legs.length);
        options.onEvent?.({ kind: 'answered', callId, lines });
        const sent = await this.#sendAudio(call, { ...options, seed }, lines, sockets, keys);
        if (call.peerEnded.aborted) return report({ kind: 'ended-by-peer' }, sent);
        return report({ kind: isAborted() ? 'aborted' : 'completed' }, sent);
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

  async #sendAudio(
    call: OutgoingCall,
    options: PlaceCallOptions & { readonly seed: number },
    lines: readonly AnsweredLine[],
    sockets: readonly MediaSockets[],
    keys: readonly (LegKey | undefined)[],
  ): Promise<LegReport[]> {
    const { legs, ptimeMs = 20, impairments = NO_IMPAIRMENTS, seed, firstSequenceNumber } = options;
    const plans = planCall({ legs, ptimeMs, impairments, seed });
    const senders = legs.map((source, legNo) => {
      const line = lines[legNo]!;
      if (line.kind === 'refused') return undefined;
      const clock = this.#clock;
      const { start, plan } = plans[legNo]!;
      return new LegSender({
        source,
        plan,
        start: { ...start, sequenceNumber: firstSequenceNumber ?? start.sequenceNumber },
        srtp: protectionOf(keys[legNo], line.crypto),
        ptimeMs,
        sockets: sockets[legNo]!,
        remote: line,
        clock,
      });
    });
    const ended = AbortSignal.any([
      call.peerEnded,
      ...(options.signal === undefined ? [] : [options.signal]),
    ]);
    const startMs = this.#clock.monotonicMs();
    const runs = senders.map((sender) =>
      sender === undefined ? Promise.resolve() : this.#pacer.run(sender, startMs, ended),
    );
    await Promise.all(runs);
    return senders.map(
      (sender, legNo): LegReport =>
        sender?.report() ?? { kind: 'refused', label: legs[legNo]!.label, codec: legs[legNo]!.codec },
    );
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

/** What we send a leg by. */
interface LegKey {
  readonly suite: SrtpSuite;
  readonly keyAndSalt: Secret<Buffer>;
}

function keyOf(srtp: PlaceCallOptions['srtp'], legNo: number): LegKey | undefined {
  if (srtp === undefined || (srtp.lines === 'all-but-first' && legNo === 0)) return undefined;
  return { suite: srtp.suite, keyAndSalt: new Secret(newMasterKey()) };
}

/** @throws {CallscribeError} SIP_MALFORMED when the answer to a line over SRTP has no key of the same suite */
function protectionOf(
  key: LegKey | undefined,
  answered: AnsweredCrypto | undefined,
): LegSenderOptions['srtp'] {
  if (key === undefined) return undefined;
  const { suite } = key;
  if (answered?.suite !== suite) {
    throw new CallscribeError(
      'SIP_MALFORMED',
      'answer: found no a=crypto line with the offered suite for a line over SRTP, expected one (RFC 4568 §5.1.2)',
    );
  }
  return {
    suite,
    own: new LegProtection(suite, key.keyAndSalt.reveal()),
    peer: new LegProtection(suite, answered.keyAndSalt.reveal()),
  };
}

function outcomeOf(error: Error): CallOutcome {
  if (error instanceof CallRefused) return { kind: 'refused', status: error.status, message: error.message };
  const code = error instanceof CallscribeError ? error.code : (systemCode(error) ?? error.name);
  return { kind: 'failed', code, message: error.message };
}
