import { JitterBuffer } from './jitter-buffer.ts';
import type { MediaSink } from './media-sink.ts';
import { isRtcp, readRtpPacket, RtpPacket } from './packet.ts';
import { type NegotiatedPayloads, type PayloadKind, payloadKinds } from './payload-map.ts';
import { ReceptionStatistics } from './reception.ts';
import { ResumeGate } from './resume-gate.ts';
import { parseRtcp } from './rtcp.ts';
import { SourceLock } from './source-lock.ts';
import { SAMPLES_PER_MS, Timeline } from './timeline.ts';

export interface LegMediaOptions extends NegotiatedPayloads {
  readonly sink: MediaSink;
  /** Monotonic time of the leg's sample 0; once, before the first samples. */
  readonly started: (atMs: number) => void;
}

/**
 * A snapshot of what came to a leg's ports. Each datagram of the RTP port counts once in `packetsReceived`,
 * `packetsForeign`, `packetsMalformed`, `rtcpPackets` or `rtcpMalformed` (one on probation, when it is decided);
 * the other packet counts are parts of `packetsReceived`, but for `packetsLost`, which never came in time.
 */
export interface LegMediaCounters {
  /** Of the leg's source. */
  readonly packetsReceived: number;
  /** Declared lost; what came of them later counts as late as well. */
  readonly packetsLost: number;
  /** Came after they were declared lost, dropped. */
  readonly packetsLate: number;
  /** Came twice, dropped. */
  readonly packetsDuplicate: number;
  /** Overtaken by a later one, but in time. */
  readonly packetsReordered: number;
  readonly packetsMalformed: number;
  /** Of other addresses, or of a source that never was confirmed. */
  readonly packetsForeign: number;
  /** Of the leg's source, with a payload type that was not negotiated. */
  readonly packetsUnknownPayloadType: number;
  readonly telephoneEventPackets: number;
  readonly comfortNoisePackets: number;
  /** On both ports. */
  readonly rtcpPackets: number;
  readonly rtcpMalformed: number;
  /** Filled for lost packets. */
  readonly concealedMs: number;
  /** Filled where nothing was sent. */
  readonly silenceMs: number;
  /** Audio dropped because its stretch had been filled or played before it came. */
  readonly overlapMs: number;
  /** Interarrival jitter as it stands now, RFC 3550 §A.8. */
  readonly jitterMs: number;
  readonly ssrcChanges: number;
  /** How often timestamps were tied anew to the leg's clock, changes of SSRC included. */
  readonly timestampResets: number;
  /** Gaps given up because the jitter buffer was full. */
  readonly bufferOverflows: number;
}

/**
 * The pure part of a leg's receiver: datagrams and times go in, a continuous leg comes out at the sink.
 *
 *     datagram → readRtpPacket → SourceLock → (ResumeGate) → JitterBuffer → Timeline → sink
 *
 * Synchronous; allocates nothing per packet in order.
 */
export class LegMedia {
  readonly #sink: MediaSink;
  readonly #kinds: readonly PayloadKind[];
  readonly #packet = new RtpPacket();
  readonly #source = new SourceLock();
  readonly #buffer: JitterBuffer;
  readonly #timeline: Timeline;
  readonly #gate = new ResumeGate();
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
    comfortNoise: 0,
    rtcp: 0,
    rtcpMalformed: 0,
    ssrcChanges: 0,
  };

  constructor(options: LegMediaOptions) {
    const { sink } = options;
    this.#sink = sink;
    this.#kinds = payloadKinds(options);
    this.#timeline = new Timeline({
      fill: (cause, samples) => {
        sink.fill(cause, samples);
      },
      started: options.started,
    });
    this.#buffer = new JitterBuffer({
      play: (packet, lostBefore) => {
        this.#play(packet, lostBefore);
      },
    });
  }

  /** One datagram of the RTP port, with its source. */
  takeRtp(datagram: Buffer, address: string, port: number, nowMs: number): void {
    if (this.#finished) return;
    if (isRtcp(datagram)) {
      this.takeRtcp(datagram);
      return;
    }
    const packet = this.#packet;
    if (readRtpPacket(datagram, packet) !== undefined) {
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

  /** One datagram of the RTCP port, or of the RTP port when both share it. */
  takeRtcp(datagram: Buffer): void {
    if (this.#finished) return;
    if (parseRtcp(datagram) === undefined) this.#counters.rtcpMalformed++;
    else this.#counters.rtcp++;
  }

  /** Every 100 ms or so: gives up overdue gaps, and lets silence flow where no packets do. */
  tick(nowMs: number): void {
    if (this.#finished) return;
    if (this.#gate.isWaiting && this.#gate.poll(nowMs) === 'stale') this.#endPauseAs('stale', nowMs);
    this.#buffer.poll(nowMs);
    if (this.#buffer.heldPackets === 0) this.#timeline.tick(nowMs);
  }

  /** See `SourceLock.relatch`. */
  relatch(): void {
    this.#source.relatch();
  }

  /** Plays what is held and ends the leg's audio; whatever comes later is ignored. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#endPauseAs('stale', 0);
    this.#buffer.drain();
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
      comfortNoisePackets: own.comfortNoise,
      rtcpPackets: own.rtcp,
      rtcpMalformed: own.rtcpMalformed,
      concealedMs: timeline.lossSamples / SAMPLES_PER_MS,
      silenceMs: timeline.silenceSamples / SAMPLES_PER_MS,
      overlapMs: timeline.overlapSamples / SAMPLES_PER_MS,
      jitterMs: Math.round(this.#statistics.jitterMs * 100) / 100,
      ssrcChanges: own.ssrcChanges,
      timestampResets: timeline.timestampResets,
      bufferOverflows: buffer.overflows,
    };
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
    const kind = this.#kindOf(packet);
    if (kind === undefined || kind === 'telephone-event') {
      this.#buffer.push(packet);
      return;
    }
    this.#statistics.arrive(packet.timestamp, packet.arrivalMs);
    if (this.#timeline.isPaused) this.#openGate(packet);
    this.#buffer.push(packet);
    if (this.#gate.isWaiting) {
      const verdict = this.#gate.judge(packet.timestamp, packet.arrivalMs);
      if (verdict !== 'wait') this.#endPauseAs(verdict, packet.arrivalMs);
    }
  }

  /** Some gateways send the noise level of RFC 3389 under the codec's payload type: one byte, no audio. */
  #kindOf(packet: RtpPacket): PayloadKind {
    const kind = this.#kinds[packet.payloadType];
    const isLevel = packet.payloadEnd - packet.payloadBegin === 1 && (kind === 'PCMU' || kind === 'PCMA');
    return isLevel ? 'comfort-noise' : kind;
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
    const kind = this.#kindOf(packet);
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
        this.#lostUntimed = lost;
        return;
      case undefined:
        this.#counters.unknownPayloadType++;
        this.#lostUntimed = lost;
        return;
    }
  }
}
