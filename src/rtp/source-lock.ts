import { LatchRule, type SignalledSource, SOURCE_RANK, type SourceRank } from './latch-rule.ts';
import { isLateSender, type LastSource } from './late-sender.ts';
import { RtpPacket } from './packet.ts';
import { sequenceDelta, SequenceUnwrapper } from './sequence.ts';

/** RFC 3550 §A.1 MAX_DROPOUT: a leap forward that is still the same run of sequence numbers. */
const DROPOUT_MAX_PACKETS = 3_000;
/** RFC 3550 §A.1 MAX_MISORDER: a step back that is still the same run. */
const MISORDER_MAX_PACKETS = 100;
/** Sources that may be on probation at a time; beyond it the one that waits longest makes room. */
const CANDIDATES_MAX = 4;

/**
 * `current`: of the leg's source. `admitted`: confirms a new source or a new run of sequence numbers; take
 * `heldPacket` and this one, in order. `probation`: kept, nothing to take yet. `repeated`: a copy of what is kept.
 * `foreign`: not the leg's.
 */
export type SourceVerdict = 'current' | 'admitted' | 'probation' | 'repeated' | 'foreign';

interface Candidate {
  address: string;
  port: number;
  readonly packet: RtpPacket;
}

/**
 * Decides which packets are the leg's. RFC 3550 §A.1 asks for two packets in sequence before a source is valid:
 * so does this, and keeps the first of them, so that no audio is lost by it.
 *
 *   no source yet     the signalled address is it (`LatchRule`), or, where that is private or absent, the first that
 *                     delivers two packets of one SSRC, near each other in sequence
 *   another address   is foreign for ever, unless `relatch` was called; only the signalled address still takes a
 *                     leg over from the one that was first in its place, so that there is never a third
 *   the last call's   sender, still talking to the port, is foreign
 *   another SSRC      of the leg's address takes over with two packets in sequence, when the old one is silent
 *                     between them; two sources that talk at the same time cannot drive the leg's clock
 *   a sequence leap   beyond the two constants of §A.1 needs its direct successor, as the RFC has it
 */
export class SourceLock {
  #address = '';
  #port = 0;
  #ssrc: number | undefined;
  #unwrapper = new SequenceUnwrapper(0);
  #highestSequence = 0;
  // Of the packet with that number:
  #timestamp = 0;
  #arrivalMs = 0;
  #rule: LatchRule;
  /** Of the leg's source. */
  #rank: SourceRank = SOURCE_RANK.NEVER;
  #relatching = false;
  readonly #last: LastSource | undefined;
  #candidates: Candidate[] = [];
  #heldPacket: RtpPacket | undefined;

  /** How many packets were on probation and never confirmed, or replaced by another. */
  unconfirmedPackets = 0;

  /**
   * @param signalled where the peer said that it sends from
   * @param last who spoke to these ports in the call before
   */
  constructor(signalled?: SignalledSource, last?: LastSource) {
    this.#rule = new LatchRule(signalled);
    this.#last = last;
  }

  get ssrc(): number | undefined {
    return this.#ssrc;
  }

  /** After `admitted`: the packet that was on probation, its `extendedSequence` set. */
  get heldPacket(): RtpPacket | undefined {
    return this.#heldPacket;
  }

  /** Who speaks on the leg, and where it was last; undefined while nobody was confirmed. */
  get lastSource(): LastSource | undefined {
    if (this.#ssrc === undefined) return undefined;
    return {
      address: this.#address,
      port: this.#port,
      ssrc: this.#ssrc,
      timestamp: this.#timestamp,
      atMs: this.#arrivalMs,
    };
  }

  /**
   * The peer announced another address, such as in a re-INVITE: the next source that is confirmed and may be by
   * the new rule becomes the leg's. Until then the present one goes on. Whoever is where the peer says it is
   * stays.
   */
  relatch(signalled?: SignalledSource): void {
    this.#rule = new LatchRule(signalled);
    this.#rank = this.#rule.rankOf(this.#address, this.#port);
    this.#relatching = this.#ssrc !== undefined && this.#rank !== SOURCE_RANK.ADDRESS_AND_PORT;
  }

  /** Sets the packet's `extendedSequence` when the verdict is `current` or `admitted`. */
  judge(packet: RtpPacket, address: string, port: number): SourceVerdict {
    const ssrc = this.#ssrc;
    if (ssrc !== undefined) {
      if (port === this.#port && address === this.#address) {
        if (packet.ssrc === ssrc && this.#continues(packet)) return 'current';
      } else if (!this.#mayReplace(address, port)) {
        return 'foreign';
      }
    } else if (this.#rule.rankOf(address, port) === SOURCE_RANK.NEVER) {
      return 'foreign';
    }
    if (this.#last !== undefined && isLateSender(this.#last, packet, address, port)) return 'foreign';
    return this.#onProbation(packet, address, port);
  }

  #mayReplace(address: string, port: number): boolean {
    const rank = this.#rule.rankOf(address, port);
    return this.#relatching ? rank !== SOURCE_RANK.NEVER : rank > this.#rank;
  }

  /** Forgets who is on probation; they count as unconfirmed. */
  dismissCandidates(): void {
    this.unconfirmedPackets += this.#candidates.length;
    this.#candidates.length = 0;
  }

  #continues(packet: RtpPacket): boolean {
    const ahead = sequenceDelta(packet.sequenceNumber, this.#highestSequence);
    if (ahead <= -MISORDER_MAX_PACKETS || ahead >= DROPOUT_MAX_PACKETS) return false;
    if (ahead > 0) {
      this.#highestSequence = packet.sequenceNumber;
      this.#timestamp = packet.timestamp;
      this.#arrivalMs = packet.arrivalMs;
      if (this.#candidates.length > 0) this.#dismissBeside();
    }
    packet.extendedSequence = this.#unwrapper.unwrap(packet.sequenceNumber);
    return true;
  }

  /** The run goes on, so whoever of this address waits to replace it talks beside it. */
  #dismissBeside(): void {
    const { length } = this.#candidates;
    this.#candidates = this.#candidates.filter(
      (other) => other.port !== this.#port || other.address !== this.#address,
    );
    this.unconfirmedPackets += length - this.#candidates.length;
  }

  #onProbation(packet: RtpPacket, address: string, port: number): SourceVerdict {
    const candidate = this.#candidates.find(
      (other) => other.packet.ssrc === packet.ssrc && other.port === port && other.address === address,
    );
    if (candidate === undefined) {
      this.#addCandidate(packet, address, port);
      return 'probation';
    }
    const step = sequenceDelta(packet.sequenceNumber, candidate.packet.sequenceNumber);
    if (step === 0) return 'repeated';

    // §A.1: a leap within one SSRC is believed when the direct successor follows. A source not heard before is
    // told by its SSRC as well, so its second packet may miss or overtake a neighbour.
    const sameRun = packet.ssrc === this.#ssrc && address === this.#address && port === this.#port;
    const believed = sameRun ? step === 1 : Math.abs(step) <= MISORDER_MAX_PACKETS;
    if (!believed) {
      candidate.packet.copyFrom(packet);
      this.unconfirmedPackets++;
      return 'probation';
    }
    this.#admit(candidate, packet, step);
    return 'admitted';
  }

  #addCandidate(packet: RtpPacket, address: string, port: number): void {
    if (this.#candidates.length === CANDIDATES_MAX) {
      this.#candidates.shift();
      this.unconfirmedPackets++;
    }
    const candidate = { address, port, packet: new RtpPacket() };
    candidate.packet.copyFrom(packet);
    this.#candidates.push(candidate);
  }

  #admit(candidate: Candidate, packet: RtpPacket, step: number): void {
    const held = candidate.packet;
    this.#address = candidate.address;
    this.#port = candidate.port;
    this.#ssrc = packet.ssrc;
    this.#rank = this.#rule.rankOf(candidate.address, candidate.port);
    this.#relatching = false;
    this.#unwrapper = new SequenceUnwrapper(held.sequenceNumber);
    held.extendedSequence = this.#unwrapper.unwrap(held.sequenceNumber);
    packet.extendedSequence = this.#unwrapper.unwrap(packet.sequenceNumber);
    this.#highestSequence = step > 0 ? packet.sequenceNumber : held.sequenceNumber;
    this.#timestamp = packet.timestamp;
    this.#arrivalMs = packet.arrivalMs;
    this.#heldPacket = held;
    this.#candidates = this.#candidates.filter((other) => other !== candidate);
    this.dismissCandidates();
  }
}
