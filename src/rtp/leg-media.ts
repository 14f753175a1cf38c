import { JitterBuffer } from './jitter-buffer.ts';
import type { SignalledSource } from './latch-rule.ts';
import type { LastSource } from './late-sender.ts';
import type { LegMediaCounters } from './leg-media-counters.ts';
import { type LegMediaOptions, SILENT_AFTER_MS } from './leg-media-options.ts';
import { LegRtcp } from './leg-rtcp.ts';
import { LegSecurity } from './leg-security.ts';
import type { MediaSink } from './media-sink.ts';
import { MediaWatch } from './media-watch.ts';
import { isRtcp, readRtpPacket, RtpPacket } from './packet.ts';
import { type NegotiatedPayloads, PayloadTable } from './payload-map.ts';
import { ReceptionStatistics } from './reception.ts';
import { ResumeGate } from './resume-gate.ts';
import { SourceLock } from './source-lock.ts';
import type { SrtpTerms } from './srtp-key.ts';
import type { SrtpFault } from './srtp-receiver.ts';
import { TelephoneEvents } from './telephone-events.ts';
import { SAMPLES_PER_MS, Timeline } from './timeline.ts';

/**
 * The pure part of a leg's receiver: datagrams and times go in, a continuous leg comes out at the sink.
 *
 *     datagram → (LegSecurity) → readRtpPacket → SourceLock → (ResumeGate) → JitterBuffer → Timeline → sink
 *
 * Synchronous; allocates nothing per packet in order.
 */
export class LegMedia {
  readonly #sink: MediaSink;
  readonly #payloads: PayloadTable;
  readonly #packet = new RtpPacket();
  readonly #source: SourceLock;
  readonly #buffer: JitterBuffer;
  readonly #timeline: Timeline;
  readonly #gate = new ResumeGate();
  readonly #events: TelephoneEvents;
  readonly #watch: MediaWatch;
  readonly #rtcp: LegRtcp;
  #security: LegSecurity | undefined;
  #startedMs: number | undefined;
  #statistics = new ReceptionStatistics();
  #finished = false;
  /** Packets lost before one that has no place on the timeline, kept for the next that has. */
  #lostUntimed = 0;

  readonly #counters = {
    received: 0,
    malformed: 0,
    foreign: 0,
    repeated: 0,
    unknownPayloadType: 0,
    telephoneEvent: 0,
    telephoneEventMalformed: 0,
    comfortNoise: 0,
    unauthenticated: 0,
    replayed: 0,
    rtcpUnauthenticated: 0,
    ssrcChanges: 0,
  };

  constructor(options: LegMediaOptions) {
    const { sink } = options;
    this.#sink = sink;
    this.#payloads = new PayloadTable(options);
    this.#source = new SourceLock(options.signalled, options.lastSource);
    this.#timeline = new Timeline({
      fill: (cause, samples) => {
        sink.fill(cause, samples);
      },
      lost: (beginSample, samples) => {
        sink.lost(beginSample, samples);
      },
      started: (atMs) => {
        this.#startedMs = atMs;
        options.started(atMs);
      },
    });
    this.#buffer = new JitterBuffer({
      play: (packet, lostBefore) => {
        this.#play(packet, lostBefore);
      },
    });
    this.#rtcp = new LegRtcp({
      ...options.rtcp,
      source: {
        ssrc: () => this.#source.ssrc,
        statistics: () => this.#statistics,
        startedMs: () => this.#startedMs,
        placeOf: (timestamp) => this.#timeline.placeOf(timestamp),
      },
    });
    this.#security = options.security === undefined ? undefined : new LegSecurity(options.security);
    this.#events = new TelephoneEvents((event) => options.onTelephoneEvent?.(event));
    this.#watch = new MediaWatch({
      silentAfterMs: options.silentAfterMs ?? SILENT_AFTER_MS,
      onSilent: () => options.onSilent?.(this.#timeline.heardSamples),
      onBack: (silentMs) => options.onBack?.(silentMs),
    });
  }

  /** One datagram of the RTP port, with its source; it may be changed in place. */
  takeRtp(datagram: Buffer, address: string, port: number, nowMs: number): void {
    if (this.#finished) return;
    if (isRtcp(datagram)) {
      this.takeRtcp(datagram, address, nowMs);
      return;
    }
    const length = this.#security === undefined ? datagram.length : this.#security.unprotectRtp(datagram);
    if (typeof length === 'string') {
      this.#dropProtected(length);
      return;
    }
    const packet = this.#packet;
    if (readRtpPacket(datagram, packet, length) !== undefined) {
      this.#counters.malformed++;
      return;
    }
    packet.arrivalMs = nowMs;
    const ssrcBefore = this.#source.ssrc;
    switch (this.#source.judge(packet, address, port)) {
      case 'current':
        this.#accept(packet);
        return;
      case 'admitted':
        this.#changeSource(ssrcBefore);
        return;
      case 'repeated':
        this.#counters.repeated++;
        return;
      case 'foreign':
        this.#counters.foreign++;
        return;
      case 'probation':
        return;
    }
  }

  /**
   * One datagram of the RTCP port, or of the RTP port when both share it.
   * @returns whether it is RTCP from the address of the leg's source
   */
  takeRtcp(datagram: Buffer, address: string, nowMs: number): boolean {
    if (this.#finished) return false;
    const plain = this.#security === undefined ? datagram : this.#security.unprotectRtcp(datagram);
    if (typeof plain === 'string') {
      this.#counters.rtcpUnauthenticated++;
      return false;
    }
    const from = this.#source.lastSource?.address === address ? 'source' : 'elsewhere';
    return this.#rtcp.take(plain, from, nowMs) && from === 'source';
  }

  /** The report to send now, protected where the leg is; undefined while none is due. */
  dueReport(nowMs: number): Buffer | undefined {
    return this.#protect(this.#rtcp.due(nowMs));
  }

  /** The last report, as `dueReport`; undefined where none was sent before. */
  goodbye(nowMs: number): Buffer | undefined {
    return this.#protect(this.#rtcp.goodbye(nowMs));
  }

  /** Ours, of reports and of packets. */
  get ownSsrc(): number {
    return this.#rtcp.ssrc;
  }

  /** A packet of ours as it goes out. */
  protectRtp(packet: Buffer): Buffer {
    return this.#security === undefined ? packet : this.#security.protectRtp(packet);
  }

  /** What a new offer protects the leg by; packets under the keys before are taken for a while. */
  secure(terms: SrtpTerms | undefined): void {
    if (terms === undefined) this.#security = undefined;
    else if (this.#security === undefined) this.#security = new LegSecurity(terms);
    else this.#security.renew(terms);
  }

  /** How much longer a stretch of the leg's clock took on ours, by the sender's reports; see `SenderClock`. */
  correctionMs(legMs: number): number {
    return this.#rtcp.correctionMs(legMs);
  }

  /** Every 100 ms or so: gives up overdue gaps, and lets silence flow where no packets do. */
  tick(nowMs: number): void {
    if (this.#finished) return;
    if (this.#gate.isWaiting && this.#gate.poll(nowMs) === 'stale') this.#endPauseAs('stale', nowMs);
    this.#buffer.poll(nowMs);
    if (this.#buffer.heldPackets === 0) this.#timeline.tick(nowMs);
    this.#events.tick(nowMs);
    this.#watch.tick(nowMs);
  }

  /** See `SourceLock.relatch`. */
  relatch(signalled?: SignalledSource): void {
    this.#source.relatch(signalled);
  }

  /** See `PayloadTable.renegotiate`. */
  renegotiate(payloads: NegotiatedPayloads): void {
    this.#payloads.renegotiate(payloads);
  }

  /** See `MediaWatch.expect`. */
  expect(expected: 'media' | 'nothing', nowMs: number): void {
    this.#watch.expect(expected, nowMs);
  }

  /** Who speaks, and who spoke last, for whoever has these ports next. */
  get lastSource(): LastSource | undefined {
    return this.#source.lastSource;
  }

  /** Whether packets wait for others, or for a verdict on their time. */
  get holdsPackets(): boolean {
    return this.#gate.isWaiting || this.#buffer.heldPackets > 0;
  }

  /** Plays what is held; what it waited for is lost. A key that is being pressed is not told when it is let go. */
  settle(nowMs: number): void {
    if (this.#finished) return;
    this.#endPauseAs('stale', nowMs);
    this.#buffer.drain();
    this.#events.disown();
  }

  /** Plays what is held and ends the leg's audio; whatever comes later is ignored. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#endPauseAs('stale', 0);
    this.#buffer.drain();
    this.#events.reset();
    this.#source.dismissCandidates();
    this.#sink.end();
  }

  counters(): LegMediaCounters {
    const own = this.#counters;
    const buffer = this.#buffer.counters;
    const timeline = this.#timeline.counters;
    return {
      packetsReceived: own.received + own.repeated,
      packetsLost: buffer.lost,
      packetsLate: buffer.late,
      packetsDuplicate: buffer.duplicates + own.repeated,
      packetsReordered: buffer.reordered,
      packetsMalformed: own.malformed,
      packetsForeign: own.foreign + this.#source.unconfirmedPackets,
      packetsUnknownPayloadType: own.unknownPayloadType,
      telephoneEventPackets: own.telephoneEvent,
      telephoneEventsMalformed: own.telephoneEventMalformed,
      comfortNoisePackets: own.comfortNoise,
      packetsUnauthenticated: own.unauthenticated,
      packetsReplayed: own.replayed,
      rtcpUnauthenticated: own.rtcpUnauthenticated,
      ...this.#rtcp.counters(),
      concealedMs: timeline.lossSamples / SAMPLES_PER_MS,
      silenceMs: timeline.silenceSamples / SAMPLES_PER_MS,
      overlapMs: timeline.overlapSamples / SAMPLES_PER_MS,
      jitterMs: Math.round(this.#statistics.jitterMs * 100) / 100,
      gapHoldMs: Math.round(this.#buffer.holdMs),
      ssrcChanges: own.ssrcChanges,
      timestampResets: timeline.timestampResets,
      bufferOverflows: buffer.overflows,
    };
  }

  #dropProtected(fault: SrtpFault): void {
    if (fault === 'malformed') this.#counters.malformed++;
    else if (fault === 'replayed') this.#counters.replayed++;
    else this.#counters.unauthenticated++;
  }

  #protect(compound: Buffer | undefined): Buffer | undefined {
    if (compound === undefined || this.#security === undefined) return compound;
    return this.#security.protectRtcp(compound);
  }

  /** The first source, another one, or a new run of sequence numbers: what was before ends here. */
  #changeSource(ssrcBefore: number | undefined): void {
    const packet = this.#packet;
    const held = this.#source.heldPacket!;
    if (ssrcBefore !== undefined) {
      this.#endPauseAs('stale', packet.arrivalMs);
      this.#buffer.restart();
      this.#statistics = new ReceptionStatistics();
      if (ssrcBefore !== packet.ssrc) {
        this.#counters.ssrcChanges++;
        this.#events.reset();
        this.#timeline.reanchor();
      }
    }
    const isInOrder = held.extendedSequence < packet.extendedSequence;
    this.#accept(isInOrder ? held : packet);
    this.#accept(isInOrder ? packet : held);
  }

  #accept(packet: RtpPacket): void {
    this.#counters.received++;
    this.#statistics.count(packet.extendedSequence);
    const kind = this.#payloads.kindOf(packet);
    if (kind !== undefined) this.#watch.heard(packet.arrivalMs);
    if (kind === undefined || kind === 'telephone-event') {
      this.#buffer.push(packet);
      return;
    }
    this.#statistics.arrive(packet.timestamp, packet.arrivalMs);
    this.#buffer.adapt(this.#statistics.jitterMs, packet.arrivalMs);
    if (this.#timeline.isPaused) this.#openGate(packet);
    this.#buffer.push(packet);
    if (this.#gate.isWaiting) {
      const verdict = this.#gate.judge(packet.timestamp, packet.arrivalMs);
      if (verdict !== 'wait') this.#endPauseAs(verdict, packet.arrivalMs);
    }
  }

  #openGate(packet: RtpPacket): void {
    if (this.#gate.isWaiting || !this.#timeline.overlaps(packet.timestamp)) return;
    this.#gate.open(packet.timestamp, packet.arrivalMs);
    this.#buffer.park();
  }

  #endPauseAs(verdict: 'late' | 'stale', nowMs: number): void {
    if (!this.#buffer.isParked) return;
    this.#gate.close();
    if (verdict === 'stale') this.#timeline.reanchor();
    this.#buffer.unpark(nowMs);
  }

  /** The next packet in order. */
  #play(packet: RtpPacket, lostBefore: number): void {
    const lost = this.#lostUntimed + lostBefore;
    const { timestamp, payloadBegin, payloadEnd, arrivalMs } = packet;
    const kind = this.#payloads.kindOf(packet);
    switch (kind) {
      case 'PCMU':
      case 'PCMA': {
        this.#lostUntimed = 0;
        const skipped = this.#timeline.place(timestamp, payloadEnd - payloadBegin, lost, arrivalMs);
        const begin = payloadBegin + skipped;
        if (begin < payloadEnd) this.#sink.audio(kind, packet.bytes, begin, payloadEnd);
        return;
      }
      case 'comfort-noise':
        // RFC 3389: the payload describes noise. Its codes are no audio, and a recogniser needs none of it.
        this.#counters.comfortNoise++;
        this.#lostUntimed = 0;
        this.#timeline.place(timestamp, 0, lost, arrivalMs);
        return;
      case 'telephone-event':
        // RFC 4733 §2.1: all packets of an event carry the timestamp of its begin, so they have no place here.
        this.#counters.telephoneEvent++;
        this.#takeEvent(packet, lost);
        return;
      case undefined:
        this.#counters.unknownPayloadType++;
        this.#lostUntimed = lost;
        return;
    }
  }

  #takeEvent(packet: RtpPacket, lost: number): void {
    const verdict = this.#events.take(packet, this.#timeline.sampleAt(packet.timestamp, packet.arrivalMs));
    if (verdict === 'malformed') this.#counters.telephoneEventMalformed++;
    // What was lost between two packets of one event were its own: no audio is missing for them.
    if (verdict !== 'known') this.#lostUntimed = lost;
  }
}
