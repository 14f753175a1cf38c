import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';

import type { AsrSession, OpenAsrSession } from '../asr/session.ts';
import { LegAudio } from '../audio/leg-audio.ts';
import type { Clock } from '../clock.ts';
import { CallscribeError, toError } from '../errors.ts';
import { type CallId, type LegId, newLegId } from '../ids.ts';
import type { LiveHub } from '../live/hub.ts';
import type { Logger } from '../log.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import type { LegReceiver, LegReceiverOptions } from '../rtp/receiver.ts';
import type { Party } from '../sip/parties.ts';
import type { OfferedLine } from '../sip/sdp.ts';
import { TranscriptAssembler } from '../transcript/assembler.ts';
import type { Publisher } from './publisher.ts';
import type { LegRecord } from './record.ts';

/** Binds a leg's ports; a root fills in the port pool and the clocks. */
export type OpenReceiver = (
  options: Omit<LegReceiverOptions, 'ports' | 'ticker' | 'clock'>,
) => Promise<LegReceiver>;

/** What every leg of the process shares. */
export interface LegServices {
  readonly openReceiver: OpenReceiver;
  readonly openAsr: OpenAsrSession;
  readonly publisher: Publisher;
  readonly live: LiveHub;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface LegOptions {
  readonly callId: CallId;
  readonly legNo: number;
  readonly line: OfferedLine;
  readonly model: string;
  readonly vocabularyId: string | undefined;
  /** The leg's record has changed. */
  readonly onChange: () => void;
  readonly onEvent: (kind: string, detail: Readonly<Record<string, unknown>>) => void;
}

/**
 * One leg's pipeline, built and closed here:
 *
 *     receiver (RTP → 100 ms of PCM) ──▶ AsrSession ──▶ assembler ──▶ publisher and live hub
 *
 * The recognition session is opened by the leg's first sample, so that a line that stays silent for minutes
 * after the answer costs nothing. A failed session ends the leg's transcript, never the leg or the call: the
 * fault becomes a call event and the audio that follows is counted as not recognised.
 */
export class Leg {
  readonly id: LegId = newLegId();
  readonly #services: LegServices;
  readonly #options: LegOptions;
  readonly #law: G711Law;
  #line: OfferedLine;
  readonly #audio = new LegAudio((pcm) => {
    this.#push(pcm);
  });
  #receiver!: LegReceiver;
  #party: Party = { role: 'unknown', name: undefined, uri: undefined };
  #startedAt: Date | undefined;
  #endedAt: Date | undefined;
  #assembler: TranscriptAssembler | undefined;
  #session: AsrSession | undefined;
  #transcribed: Promise<void> = Promise.resolve();
  #ending: Promise<void> | undefined;
  #recognitionFailed = false;
  #unrecognisedBytes = 0;

  private constructor(services: LegServices, options: LegOptions, law: G711Law) {
    this.#services = services;
    this.#options = options;
    this.#law = law;
    this.#line = options.line;
  }

  /** Binds the leg's ports. @throws {CallscribeError} RTP_PORTS_EXHAUSTED */
  static async open(services: LegServices, options: LegOptions): Promise<Leg> {
    const { line } = options;
    const chosen = line.g711[0];
    if (chosen === undefined) {
      throw new CallscribeError(
        'SIP_NO_COMMON_CODEC',
        'line: found no G.711 payload type, expected PCMU or PCMA',
      );
    }
    const leg = new Leg(services, options, chosen.law);
    leg.#receiver = await services.openReceiver({
      codecs: new Map(line.g711.map(({ payloadType, law }) => [payloadType, law])),
      telephoneEventPayloadTypes: new Set(
        line.telephoneEvent === undefined ? [] : [line.telephoneEvent.payloadType],
      ),
      comfortNoisePayloadTypes: new Set(line.comfortNoise === undefined ? [] : [line.comfortNoise]),
      onStarted: (at) => {
        leg.#start(at);
      },
      onFault: (error) => {
        leg.#mediaFailed(error);
      },
      sink: leg.#audio,
    });
    return leg;
  }

  get legNo(): number {
    return this.#options.legNo;
  }

  get rtpPort(): number {
    return this.#receiver.rtpPort;
  }

  get rtcpPort(): number {
    return this.#receiver.rtcpPort;
  }

  /** A new offer for the same line: where the peer sends from elsewhere now, its packets are to be taken. */
  reoffered(line: OfferedLine): void {
    const { address, port } = this.#line;
    if (line.address !== address || line.port !== port) this.#receiver.relatch();
    this.#line = line;
  }

  /** Whether audio came but no recogniser would take it. */
  get recognitionFailed(): boolean {
    return this.#recognitionFailed;
  }

  set party(party: Party) {
    this.#party = party;
  }

  record(): LegRecord {
    const ended = this.#endedAt !== undefined;
    return {
      id: this.id,
      legNo: this.#options.legNo,
      label: this.#line.label,
      role: this.#party.role,
      name: this.#party.name,
      uri: this.#party.uri,
      codec: this.#law,
      model: this.#options.model,
      vocabularyId: this.#options.vocabularyId,
      startedAt: this.#startedAt,
      endedAt: this.#endedAt,
      media: ended
        ? { ...this.#receiver.counters(), unrecognisedMs: this.#unrecognisedBytes / BYTES_PER_MS }
        : undefined,
      sentenceCount: ended ? (this.#assembler?.sentenceCount ?? 0) : undefined,
    };
  }

  /**
   * Closes the leg in this order: late packets are waited for, the last samples go to the recogniser, its last
   * words are waited for (bounded by the session), the ports are given back. Never rejects.
   */
  end(): Promise<void> {
    this.#ending ??= this.#close();
    return this.#ending;
  }

  async #close(): Promise<void> {
    await this.#takeLatePackets();
    this.#receiver.finish();
    await this.#session?.finish();
    await this.#transcribed;
    await this.#receiver.close();
    this.#endedAt = this.#services.clock.wallTime();
    this.#tellMalformed();
  }

  /**
   * What the BYE overtook on the network, then what the sockets hold already: after a stall of this process the
   * time may be over before anything was read. A turn without a packet means that they are empty.
   */
  async #takeLatePackets(): Promise<void> {
    await delay(LATE_PACKET_LINGER_MS);
    let taken = -1;
    for (let turn = 0; turn < LATE_TURNS_MAX; turn += 1) {
      const { packetsReceived } = this.#receiver.counters();
      if (packetsReceived === taken) return;
      taken = packetsReceived;
      await nextTurn();
    }
  }

  /** What could not be read was dropped where it came in; a reader of the call is told once, with the counts. */
  #tellMalformed(): void {
    const { packetsMalformed, rtcpMalformed } = this.#receiver.counters();
    const messages = this.#session?.malformedMessages ?? 0;
    if (packetsMalformed + rtcpMalformed > 0) {
      this.#options.onEvent('media_malformed', { packetsMalformed, rtcpMalformed });
    }
    if (messages > 0) this.#options.onEvent('asr_malformed', { messages });
  }

  #start(at: Date): void {
    const { callId, legNo, model, vocabularyId, onChange } = this.#options;
    this.#startedAt = at;
    this.#assembler = new TranscriptAssembler({ callId, legId: this.id, legNo, startedAt: at });
    this.#session = this.#services.openAsr({ model, vocabularyId });
    this.#transcribed = this.#transcribe(this.#session, this.#assembler);
    onChange();
  }

  #mediaFailed(error: Error): void {
    this.#services.logger.error({ err: error, callId: this.#options.callId, legId: this.id }, 'media failed');
    this.#options.onEvent('media_failed', {});
  }

  #push(pcm: Buffer): void {
    if (this.#session === undefined || this.#recognitionFailed) this.#unrecognisedBytes += pcm.length;
    else this.#session.push(pcm);
  }

  async #transcribe(session: AsrSession, assembler: TranscriptAssembler): Promise<void> {
    const { publisher, live, logger } = this.#services;
    try {
      for await (const event of session) {
        const transcript = assembler.accept(event);
        if (transcript === undefined) continue;
        if (transcript.kind === 'final') publisher.publishSentence(transcript.sentence);
        live.emit('transcript', transcript);
      }
    } catch (error) {
      this.#recognitionFailed = true;
      const code = error instanceof CallscribeError ? error.code : 'ASR_PROTOCOL';
      logger.error(
        { err: toError(error), callId: this.#options.callId, legId: this.id },
        'recognition failed',
      );
      this.#options.onEvent('asr_failed', { code, sentences: assembler.sentenceCount });
    }
  }
}

/** Packets that were on their way when the BYE overtook them. */
const LATE_PACKET_LINGER_MS = 80;
/** A turn takes up to 32 packets from a socket; its buffer holds some 500. */
const LATE_TURNS_MAX = 50;
/** Signed 16-bit samples at 8,000 Hz. */
const BYTES_PER_MS = 16;
