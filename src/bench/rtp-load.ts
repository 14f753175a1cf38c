import { randomInt, randomUUID } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import process from 'node:process';

import { readAnswer } from '../caller/answer.ts';
import { writeOffer } from '../caller/offer.ts';
import { type OutgoingCall, placeOutgoingCall } from '../caller/outgoing-call.ts';
import { buildRtpPacket } from '../caller/rtp-packets.ts';
import type { SipTarget } from '../caller/sip-target.ts';
import { CallerUserAgent } from '../caller/user-agent.ts';
import type { Clock } from '../clock.ts';
import { machineUs } from './machine-clock.ts';
import { writeStamp } from './packet-stamp.ts';
import { SlotPacer } from './slot-pacer.ts';

/** Whom the legs speak to: an intake by calls of two legs, or ports that are open already. */
export type RtpLoadTarget =
  | { readonly kind: 'sip'; readonly target: SipTarget }
  | { readonly kind: 'ports'; readonly rtpPorts: readonly number[] };

export interface RtpLoadReport {
  readonly packetsSent: number;
  readonly callsRefused: number;
  /** Share of one core since the load was opened and steady. */
  readonly cpuShare: number;
  readonly lateMaxMs: number;
}

const HOST = '127.0.0.1';
const PTIME_MS = 20;
const CODES_A_PACKET = 160;
const SLOTS = 20;
const LEGS_A_CALL = 2;
/** So many calls are begun, or ended, before the oldest is answered. */
const AT_ONCE = 8;
const ANSWER_TIMEOUT_MS = 32_000;

/**
 * Speaks on many legs at once, as lightly as Node can: one prepared packet a leg, of which each time only sequence
 * number, timestamp and the time of sending change. Legs begin as soon as they are answered, spread over the packet
 * time.
 */
export class RtpLoad {
  readonly #slots: RtpLeg[][] = Array.from({ length: SLOTS }, () => []);
  readonly #calls: OutgoingCall[] = [];
  readonly #pacer: SlotPacer;
  #agent: CallerUserAgent | undefined;
  #legs = 0;
  #callsRefused = 0;
  #lateMaxMs = 0;
  #steadyUs = 0;
  #cpuBefore: NodeJS.CpuUsage = { user: 0, system: 0 };

  private constructor(clock: Clock) {
    this.#pacer = SlotPacer.start({
      clock,
      intervalMs: PTIME_MS,
      slots: SLOTS,
      onSlot: (slot, dueMs) => {
        this.#lateMaxMs = Math.max(this.#lateMaxMs, clock.monotonicMs() - dueMs);
        for (const leg of this.#slots[slot]!) leg.send();
      },
    });
  }

  /** Resolves when all legs speak. */
  static async open(target: RtpLoadTarget, legs: number, clock: Clock): Promise<RtpLoad> {
    const load = new RtpLoad(clock);
    if (target.kind === 'ports') {
      for (const port of target.rtpPorts.slice(0, legs)) load.#begin(await RtpLeg.open(), port);
    } else {
      const agent = await CallerUserAgent.open({ target: target.target, protocol: 'udp' });
      load.#agent = agent;
      await load.#placeCalls(agent, target.target, legs);
    }
    load.#lateMaxMs = 0;
    load.#steadyUs = machineUs();
    load.#cpuBefore = process.cpuUsage();
    return load;
  }

  async #placeCalls(agent: CallerUserAgent, target: SipTarget, legs: number): Promise<void> {
    let left = legs;
    const placeNext = async (): Promise<void> => {
      while (left > 0) {
        const count = Math.min(LEGS_A_CALL, left);
        left -= count;
        await this.#placeCall(agent, target, count).catch(() => (this.#callsRefused += 1));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, placeNext));
  }

  async #placeCall(userAgent: CallerUserAgent, target: SipTarget, count: number): Promise<void> {
    const legs = await Promise.all(Array.from({ length: count }, () => RtpLeg.open()));
    const content = writeOffer({
      address: HOST,
      sessionId: randomInt(2 ** 31),
      ptimeMs: PTIME_MS,
      direction: 'sendonly',
      lines: legs.map(({ port }, no) => ({ port, codec: 'PCMA', label: String(no + 1) })),
    });
    const call = await placeOutgoingCall({
      userAgent,
      target,
      callId: `${randomUUID()}@${HOST}`,
      from: undefined,
      headers: [],
      contactParameters: '',
      body: { contentType: 'application/sdp', content },
      answerTimeoutMs: ANSWER_TIMEOUT_MS,
      signal: new AbortController().signal,
      onProvisional: () => undefined,
    });
    this.#calls.push(call);
    for (const [no, line] of readAnswer(call.answer, count).entries()) {
      if (line.kind === 'accepted') this.#begin(legs[no]!, line.port);
    }
  }

  #begin(leg: RtpLeg, remotePort: number): void {
    leg.speakTo(remotePort);
    this.#slots[this.#legs % SLOTS]!.push(leg);
    this.#legs += 1;
  }

  /** No packet follows; the calls stand until {@link hangUp}. */
  stop(): RtpLoadReport {
    this.#pacer.stop();
    const used = process.cpuUsage(this.#cpuBefore);
    const legs = this.#slots.flat();
    return {
      packetsSent: legs.reduce((sum, leg) => sum + leg.packetsSent, 0),
      callsRefused: this.#callsRefused,
      cpuShare: (used.user + used.system) / (machineUs() - this.#steadyUs),
      lateMaxMs: this.#lateMaxMs,
    };
  }

  /** Never rejects. */
  async hangUp(): Promise<void> {
    const hangUpNext = async (): Promise<void> => {
      for (let call = this.#calls.pop(); call !== undefined; call = this.#calls.pop()) await call.hangUp();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, hangUpNext));
    await this.#agent?.close();
    for (const leg of this.#slots.flat()) leg.close();
  }
}

/** One leg's socket and its only packet, in which each departure overwrites the last. */
class RtpLeg {
  readonly port: number;
  packetsSent = 0;
  readonly #socket: Socket;
  readonly #packet: Buffer;
  #remotePort = 0;
  #sequenceNumber = randomInt(2 ** 16);
  #rtpTimestamp = randomInt(2 ** 32);

  static async open(): Promise<RtpLeg> {
    const socket = createSocket({ type: 'udp4', lookup: numericAddress });
    // With such a look-up it listens within the call.
    const listening = once(socket, 'listening');
    socket.bind({ address: HOST, port: 0, exclusive: true });
    await listening;
    // Reports about our packets are not read; news of a receiver that is gone are none to us.
    socket.on('error', () => undefined);
    return new RtpLeg(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.port = socket.address().port;
    const codes = Uint8Array.from({ length: CODES_A_PACKET }, (_, at) => 0xd5 ^ ((at * 37) & 0x7f));
    const start = { ssrc: randomInt(2 ** 32), sequenceNumber: 0, rtpTimestamp: 0 };
    this.#packet = buildRtpPacket({ codec: 'PCMA', codes, ptimeMs: PTIME_MS, ...start }, 0);
    this.#packet[1] = this.#packet[1]! & 0x7f;
  }

  speakTo(remotePort: number): void {
    this.#remotePort = remotePort;
  }

  send(): void {
    const packet = this.#packet;
    packet.writeUInt16BE(this.#sequenceNumber, 2);
    packet.writeUInt32BE(this.#rtpTimestamp, 4);
    this.#sequenceNumber = (this.#sequenceNumber + 1) & 0xffff;
    this.#rtpTimestamp = (this.#rtpTimestamp + CODES_A_PACKET) % 2 ** 32;
    writeStamp(packet, packet.length, machineUs());
    this.#socket.send(packet, this.#remotePort, HOST);
    this.packetsSent += 1;
  }

  close(): void {
    this.#socket.close();
  }
}

/** At once: the addresses are numbers, and Node's own look-up would cost each packet a turn. */
function numericAddress(
  address: string,
  _options: unknown,
  callback: (error: null, address: string, family: number) => void,
): void {
  callback(null, address, 4);
}
