import { setTimeout as delay } from 'node:timers/promises';

import { LegAudio } from '../audio/leg-audio.ts';
import { CallscribeError } from '../errors.ts';
import { type LegId, newLegId } from '../ids.ts';
import type { LegRecorder } from '../recording/leg-recorder.ts';
import type { SignalledSource } from '../rtp/latch-rule.ts';
import type { G711Law, NegotiatedPayloads } from '../rtp/payload-map.ts';
import type { Prompt, PromptOutcome } from '../rtp/prompt.ts';
import type { LegReceiver } from '../rtp/receiver.ts';
import type { OfferedLine } from '../sip/sdp.ts';
import type { OwnCrypto } from '../sip/sdp-crypto.ts';
import { NO_PARTY, type Party } from './call-parties.ts';
import { LegCrypto, signalledRtcp } from './leg-crypto.ts';
import { countLegMedia } from './leg-figures.ts';
import { LegKeys } from './leg-keys.ts';
import { LegMute, readWaiting } from './leg-mute.ts';
import { LegQuiet } from './leg-quiet.ts';
import type { LegOptions, LegServices } from './leg-services.ts';
import { LegTap } from './leg-tap.ts';
import { LegTranscript } from './leg-transcript.ts';
import { LegVoice } from './leg-voice.ts';
import type { LegRecord } from './record.ts';
import type { UnrecognisedLeg } from './unrecognised.ts';

/**
 * One leg's pipeline, built and closed here:
 *
 *     receiver (RTP → 100 ms of PCM) ──▶ AsrSession ──▶ assembler ──▶ publisher and live hub
 *          └──▶ recorder (G.711 as it came) ──▶ disk; read again by a session that lost its connection
 *
 * The recognition session is opened by the leg's first sample, so that a line that stays silent for minutes
 * after the answer costs nothing. Neither a failed session nor a line without media ends the leg: both become
 * events of the call.
 */
export class Leg {
  readonly id: LegId;
  readonly #services: LegServices;
  readonly #options: LegOptions;
  readonly #law: G711Law;
  #line: OfferedLine;
  readonly #audio = new LegAudio((pcm) => {
    this.#push(pcm);
  });
  readonly #recorder: LegRecorder;
  readonly #tap: LegTap;
  readonly #mute: LegMute;
  readonly #quiet: LegQuiet;
  readonly #keys: LegKeys;
  readonly #crypto = new LegCrypto();
  readonly #voice = new LegVoice();
  #receiver!: LegReceiver;
  #party: Party = NO_PARTY;
  #saidGoodbye = false;
  #startedAt: Date | undefined;
  #endedAt: Date | undefined;
  #transcript: LegTranscript | undefined;
  #ending: Promise<void> | undefined;
  /** Audio of the leg, whether anybody recognised it or not. */
  #heardMs = 0;
  /** With the next chunk, which ends where silence stands for what is said. */
  #endsSentence = false;

  private constructor(services: LegServices, options: LegOptions, law: G711Law) {
    this.id = newLegId(options.callId);
    this.#services = services;
    this.#options = options;
    this.#law = law;
    this.#recorder = options.openRecorder(this.id);
    this.#tap = new LegTap(this.#recorder, this.#audio);
    if (options.attendant !== undefined) this.#tap.mute('gate');
    this.#mute = new LegMute({ tap: this.#tap, recorder: this.#recorder, receiver: () => this.#receiver });
    this.#line = options.line;
    const onEvent = this.#event.bind(this);
    this.#keys = new LegKeys({ digits: options.policy.dtmfDigits, onEvent });
    this.#quiet = new LegQuiet({
      nowMs: () => this.#nowMs(),
      expect: (expected) => {
        this.#receiver.expect(expected);
      },
      onEvent,
      metrics: services.metrics,
    });
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
      ...payloadsOf(line),
      signalled: leg.#source(line),
      rtcp: signalledRtcp(line),
      security: leg.#crypto.agree(line),
      onStarted: (at) => {
        leg.#start(at);
      },
      onFault: (error) => {
        leg.#mediaFailed(error);
      },
      onGoodbye: () => {
        leg.#saidGoodbye = true;
        leg.#event('rtcp_bye', {});
      },
      onTelephoneEvent: (event) => {
        if (!leg.#mute.mayTell(event)) return;
        if (leg.#keys.take(event)) services.metrics.keys.inc();
        options.attendant?.key(event);
      },
      onSilent: (sinceSample) => {
        leg.#quiet.silent(leg.#startedAt === undefined ? undefined : sinceSample / SAMPLES_PER_MS);
      },
      onBack: (silentMs) => {
        leg.#quiet.back(silentMs);
      },
      sink: leg.#tap,
    });
    // A line of our own offer has no port yet, which is no hold.
    leg.#voice.follow(line);
    leg.#quiet.follow({ ...line, port: line.port === 0 ? DISCARD_PORT : line.port });
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

  /** Our a=crypto line; undefined where the leg is plain RTP. */
  get crypto(): OwnCrypto | undefined {
    return this.#crypto.own;
  }

  /** Whether its ports are given back. */
  get isClosed(): boolean {
    return this.#endedAt !== undefined;
  }

  /** Whether its sender has told that it is leaving (RTCP BYE). */
  get saidGoodbye(): boolean {
    return this.#saidGoodbye;
  }

  get packetsReceived(): number {
    return this.#receiver.counters().packetsReceived;
  }

  /**
   * A new offer for the same line: its payload types are taken, its holds noted, and where it names another
   * address, that one's packets are to be taken, by the keys that it names. A held line's placeholder is no address.
   */
  reoffered(line: OfferedLine): void {
    const { address, port } = this.#line;
    const isPlaceholder = line.nullAddress || line.port === 0;
    if (!isPlaceholder && (line.address !== address || line.port !== port)) {
      this.#receiver.relatch(this.#source(line));
    }
    if (line.g711.length > 0) this.#receiver.renegotiate(payloadsOf(line));
    this.#quiet.follow(line);
    this.#line = isPlaceholder ? { ...line, address, port } : line;
    this.#voice.follow(line);
    this.#receiver.secure(this.#crypto.agree(this.#line), signalledRtcp(this.#line));
  }

  #source({ address, port }: OfferedLine): SignalledSource {
    return { address, port, sipAddress: this.#options.peerAddress };
  }

  /**
   * The peer's metadata says that nobody sends this line's stream, or that somebody does again (RFC 7866 §8.1.7).
   * May be told again and again.
   */
  sentByMetadata(sent: 'sent' | 'not-sent'): void {
    if (sent === 'sent') this.#quiet.resume('metadata');
    else this.#quiet.pause('metadata');
  }

  get isMuted(): boolean {
    return this.#mute.isMuted;
  }

  /** Nothing that is said or pressed from here on leaves the leg; the sentence in the making ends. */
  mute(): void {
    this.#endSentence();
    this.#mute.mute();
  }

  /** See `LegMute.unmute`. */
  unmute(): Promise<boolean> {
    return this.#mute.unmute();
  }

  /** From here on the leg is kept and recognised. For a leg with an attendant. */
  admit(): void {
    this.#tap.unmute('gate');
  }

  /** From here on it is not; the sentence in the making ends. */
  withhold(): void {
    this.#endSentence();
    this.#tap.mute('gate');
  }

  /** Whether the peer announced that it sends nothing. */
  get isHeld(): boolean {
    return this.#quiet.isHeld;
  }

  /** Begins to send: silence, and prompts when there are any. For a leg whose call `speaks`. May be called twice. */
  speak(): void {
    this.#voice.speak(this.#receiver);
  }

  /** See `LegVoice.play`. */
  play(prompt: Prompt): Promise<PromptOutcome> {
    return this.#voice.play(prompt);
  }

  /** Ends what is played and what waits; silence is sent on. */
  stopPlaying(): void {
    this.#voice.stopPlaying();
  }

  /** How far the leg's audio has come on its clock; undefined before it has started. */
  get atMs(): number | undefined {
    return this.#startedAt === undefined ? undefined : this.#recorder.samples / SAMPLES_PER_MS;
  }

  /** Where on its clock the leg is now, also while nothing comes. */
  get placeMs(): number | undefined {
    const { atMs } = this;
    const nowMs = this.#nowMs();
    if (atMs === undefined || nowMs === undefined) return undefined;
    return nowMs - atMs > ON_ITS_WAY_MAX_MS ? nowMs : atMs;
  }

  /** Whether audio came but no recogniser would take it. */
  get recognitionFailed(): boolean {
    return this.#transcript?.failed === true;
  }

  /** What is to be recognised yet of a leg that has ended. */
  get owed(): UnrecognisedLeg | undefined {
    const fromSample = this.#transcript?.owedFromSample;
    if (this.#transcript === undefined || fromSample === undefined) return undefined;
    return { legNo: this.#options.legNo, sentenceCount: this.#transcript.sentenceCount, fromSample };
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
      roleEvidence: this.#party.evidence,
      codec: this.#law,
      model: this.#options.policy.recognition.model,
      vocabularyId: this.#options.policy.recognition.vocabularyId,
      startedAt: this.#startedAt,
      endedAt: this.#endedAt,
      media: ended
        ? {
            ...this.#receiver.counters(),
            heardMs: Math.round(this.#heardMs),
            mutedMs: Math.round(this.#tap.mutedSamples / SAMPLES_PER_MS),
            unrecognisedMs: this.#transcript?.unrecognisedMs ?? 0,
          }
        : undefined,
      sentenceCount: ended ? (this.#transcript?.sentenceCount ?? 0) : undefined,
    };
  }

  /**
   * Closes the leg in this order: late packets are waited for, the last samples go to the recogniser, the ports are
   * given back while its last words are waited for (bounded by the session). Never rejects.
   */
  end(): Promise<void> {
    this.#ending ??= this.#close();
    return this.#ending;
  }

  async #close(): Promise<void> {
    this.#voice.end();
    await delay(LATE_PACKET_LINGER_MS);
    await readWaiting(this.#receiver);
    this.#quiet.leave();
    this.#receiver.finish();
    // What is owed may take a while, and the ports are wanted.
    await Promise.all([this.#transcript?.finish(), this.#receiver.close()]);
    this.#endedAt = this.#services.clock.wallTime();
    this.#tellMalformed();
    const { metrics } = this.#services;
    countLegMedia(metrics, this.#receiver.counters());
    metrics.asrUnrecognisedMs.inc(this.#transcript?.unrecognisedMs ?? 0);
  }

  /** What could not be read was dropped where it came in; a reader of the call is told once, with the counts. */
  #tellMalformed(): void {
    const { packetsMalformed, rtcpMalformed } = this.#receiver.counters();
    const messages = this.#transcript?.malformedMessages ?? 0;
    if (packetsMalformed + rtcpMalformed > 0) {
      this.#event('media_malformed', { packetsMalformed, rtcpMalformed });
    }
    if (messages > 0) this.#event('asr_malformed', { messages });
  }

  #start(at: Date): void {
    const { callId, legNo, policy, onChange, onSentence } = this.#options;
    const { publisher, live, logger, openAsr } = this.#services;
    this.#startedAt = at;
    this.#recorder.start(at);
    this.#mute.started();
    this.#transcript = new LegTranscript({
      callId,
      legId: this.id,
      tenant: policy.tenant,
      webhooks: policy.webhooks,
      keepsWords: policy.keepsWords,
      legNo,
      startedAt: at,
      concealedMs: (beginMs, endMs) =>
        Math.round(
          this.#audio.lostSamples(beginMs * SAMPLES_PER_MS, endMs * SAMPLES_PER_MS) / SAMPLES_PER_MS,
        ),
      correctionMs: (legMs) => this.#receiver.correctionMs(legMs),
      session: openAsr({ ...policy.recognition, source: this.#recorder.openSource() }),
      publisher,
      live,
      logger,
      onSentence,
      onEvent: this.#event.bind(this),
    });
    onChange();
  }

  /** Now on the leg's clock; undefined before it has started. */
  #nowMs(): number | undefined {
    if (this.#startedAt === undefined) return undefined;
    return Math.max(0, this.#services.clock.wallTime().getTime() - this.#startedAt.getTime());
  }

  #mediaFailed(error: Error): void {
    this.#services.logger.error({ err: error, callId: this.#options.callId, legId: this.id }, 'media failed');
    this.#event('media_failed', {});
  }

  #event(kind: string, detail: Readonly<Record<string, unknown>>): void {
    if (kind === 'hold' || kind === 'resume') this.#recorder.mark(kind);
    this.#options.onEvent(kind, detail, this);
  }

  #endSentence(): void {
    if (!this.#tap.isMuted && this.#transcript !== undefined) this.#endsSentence = true;
  }

  #push(pcm: Buffer): void {
    if (!this.#tap.isMuted) this.#options.attendant?.heard(pcm);
    this.#heardMs += pcm.length / (2 * SAMPLES_PER_MS);
    this.#transcript?.push(pcm);
    if (this.#endsSentence) this.#transcript?.endSentence();
    this.#endsSentence = false;
  }
}

function payloadsOf(line: OfferedLine): NegotiatedPayloads {
  return {
    codecs: new Map(line.g711.map(({ payloadType, law }) => [payloadType, law])),
    telephoneEventPayloadTypes: new Set(
      line.telephoneEvent === undefined ? [] : [line.telephoneEvent.payloadType],
    ),
    comfortNoisePayloadTypes: new Set(line.comfortNoise === undefined ? [] : [line.comfortNoise]),
  };
}

/** Stands for any port; RFC 863, nobody sends from it. */
const DISCARD_PORT = 9;
/** Packets that were on their way when the BYE overtook them. */
const LATE_PACKET_LINGER_MS = 80;
/** What was sent and is not recorded yet: it waits for 240 ms at most. */
const ON_ITS_WAY_MAX_MS = 400;
const SAMPLES_PER_MS = 8;
