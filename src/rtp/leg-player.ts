import { type Clock, ntpTimestamp } from '../clock.ts';
import type { Pacer } from '../pacer.ts';
import type { SignalledSource } from './latch-rule.ts';
import type { LastSource } from './late-sender.ts';
import { MediaRoute } from './media-route.ts';
import type { SentFigures } from './own-reports.ts';
import { PacketWriter, type StreamStart } from './packet-writer.ts';
import type { G711Law } from './payload-map.ts';
import { type Prompt, type PromptOutcome, PromptQueue } from './prompt.ts';
import type { RtcpTarget } from './rtcp-route.ts';
import { SAMPLES_PER_MS } from './timeline.ts';

const PTIME_MS = 20;
const PACKET_SAMPLES = PTIME_MS * SAMPLES_PER_MS;
/** After a stall of the process so many packets follow at once: a jitter buffer bears 60 ms. */
const CATCH_UP_PACKETS = 3;

/** What a leg's peer takes, by its session description. */
export interface SendTerms {
  readonly payloadType: number;
  readonly law: G711Law;
  readonly signalled: SignalledSource;
  /** `nothing`: a hold, or a line without a port. */
  readonly takes: 'media' | 'nothing';
}

export interface LegPlayerOptions {
  readonly terms: SendTerms;
  readonly start: StreamStart;
  readonly pacer: Pacer;
  readonly clock: Clock;
  /** Ours; the one of the leg's reports. */
  readonly ssrc: () => number;
  /** Who speaks on the leg. */
  readonly source: () => LastSource | undefined;
  readonly protect: (packet: Buffer) => Buffer;
  readonly send: (packet: Buffer, target: RtcpTarget) => void;
  /** One of the above threw: the stream is over. Once. */
  readonly onFault: (error: unknown) => void;
}

/**
 * What a leg says: a packet every 20 ms from the begin to the end, of prompts and of silence between them, which
 * keeps pinholes open and the peer's media time-outs quiet.
 *
 * The RTP timestamp is the monotonic clock at 8,000 Hz. While the peer holds the line nothing is sent, and prompts
 * run on unheard. Packets that a stall of the process made too late are left out, and the prompt goes on where it was.
 */
export class LegPlayer {
  readonly intervalMs = PTIME_MS;
  readonly ticks = Number.POSITIVE_INFINITY;
  readonly catchUpTicks = CATCH_UP_PACKETS;
  readonly #options: LegPlayerOptions;
  readonly #startMs: number;
  readonly #prompts = new PromptQueue();
  readonly #writer: PacketWriter;
  readonly #route: MediaRoute;
  readonly #payload = new Uint8Array(PACKET_SAMPLES);
  readonly #ending = new AbortController();
  #terms: SendTerms;
  #nextTick = 0;
  #packetsLeftOut = 0;

  /** Begins at once. */
  constructor(options: LegPlayerOptions) {
    const { terms, start, pacer, clock } = options;
    this.#options = options;
    this.#terms = terms;
    this.#writer = new PacketWriter(start);
    this.#route = new MediaRoute(terms.signalled);
    this.#startMs = clock.monotonicMs();
    void pacer.run(this, this.#startMs, this.#ending.signal).then(() => {
      this.end();
    });
  }

  /** Plays a prompt after those that wait. Resolves when its last sample has left; never rejects. */
  play(prompt: Prompt): Promise<PromptOutcome> {
    return this.#ending.signal.aborted ? Promise.resolve('stopped') : this.#prompts.add(prompt);
  }

  /** Drops what is played and what waits; silence follows. */
  stopPlaying(): void {
    this.#prompts.clear();
  }

  /** What a new description says. */
  direct(terms: SendTerms): void {
    const { clock, source } = this.#options;
    this.#terms = terms;
    // A held line's description may hold a placeholder in place of an address.
    if (terms.takes === 'media') this.#route.redirect(terms.signalled, source(), clock.monotonicMs());
  }

  /** Nothing is sent from here on. May be called twice. */
  end(): void {
    this.#ending.abort();
    this.#prompts.clear();
  }

  get packetsSent(): number {
    return this.#writer.packetCount;
  }

  /** Because a stall of the process had made them too late. */
  get packetsLeftOut(): number {
    return this.#packetsLeftOut;
  }

  /** For a sender report: this moment on both clocks (RFC 3550 §6.4.1). */
  figures(): SentFigures {
    const { clock } = this.#options;
    const sample = Math.round((clock.monotonicMs() - this.#startMs) * SAMPLES_PER_MS);
    return {
      ntpTimestamp: ntpTimestamp(clock.wallTime()),
      rtpTimestamp: this.#writer.timestampOf(sample),
      packetCount: this.#writer.packetCount,
      octetCount: this.#writer.octetCount,
    };
  }

  /** For the pacer. */
  tick(tickNo: number): void {
    this.#packetsLeftOut += tickNo - this.#nextTick;
    this.#nextTick = tickNo + 1;
    try {
      this.#sendPacket(tickNo * PACKET_SAMPLES);
    } catch (error) {
      this.end();
      this.#options.onFault(error);
    }
  }

  #sendPacket(sample: number): void {
    const { ssrc, source, protect, send } = this.#options;
    const { law, payloadType, takes } = this.#terms;
    this.#prompts.take(law, this.#payload);
    const target = takes === 'media' ? this.#route.target(source()) : undefined;
    if (target === undefined) return;
    send(protect(this.#writer.write({ ssrc: ssrc(), payloadType, sample }, this.#payload)), target);
  }
}
