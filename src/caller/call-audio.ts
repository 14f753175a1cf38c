import type { Clock } from '../clock.ts';
import { CallscribeError } from '../errors.ts';
import type { Pacer } from '../pacer.ts';
import type { AnsweredLine } from './answer.ts';
import { lengthened } from './call-length.ts';
import { planCall } from './call-plan.ts';
import type { LegReport } from './call-report.ts';
import type { PlaceCallOptions } from './caller.ts';
import type { G711Codec } from './g711.ts';
import { type HeardPacket, layOut, readHeard } from './heard.ts';
import { heardFigures } from './heard-figures.ts';
import { HEARD_MAX_MS, type Hearing } from './hearing.ts';
import { NO_IMPAIRMENTS } from './impairment-plan.ts';
import { planKeys } from './key-plan.ts';
import { type LegKey, protectionOf } from './leg-key.ts';
import { LegSender } from './leg-sender.ts';
import type { LegSource } from './leg-source.ts';
import type { MediaSockets } from './media-sockets.ts';
import { packetCount } from './rtp-packets.ts';

/** One leg of a call that was answered. */
export interface AudioLeg {
  readonly source: LegSource;
  readonly line: AnsweredLine;
  readonly sockets: MediaSockets;
  readonly key: LegKey | undefined;
  readonly hearing: Hearing | undefined;
}

/** What came back on a leg. */
export interface HeardLeg {
  readonly label: string;
  readonly codec: G711Codec;
  /** By the timestamps of the packets, from the first one on; silence where there was none. At most an hour. */
  readonly codes: Uint8Array;
  /** In the order of their arrival; times count from when our own first packet was due. */
  readonly packets: readonly HeardPacket[];
}

export interface SentAudio {
  readonly legs: readonly LegReport[];
  readonly heard: readonly HeardLeg[];
  /** Whether all of the legs' own audio had its time. */
  readonly isWhole: boolean;
}

export interface CallAudioOptions extends Pick<
  PlaceCallOptions,
  'ptimeMs' | 'impairments' | 'firstSequenceNumber' | 'keys' | 'untilByeMs'
> {
  readonly legs: readonly AudioLeg[];
  readonly seed: number;
  readonly ended: AbortSignal;
  readonly pacer: Pacer;
  readonly clock: Clock;
}

/**
 * Sends the audio of all legs of a call, until it is over or the call has ended.
 *
 * @throws {CallscribeError} SIP_MALFORMED where the answer lacks a key; SIP_NO_COMMON_CODEC where it takes no events
 *   and keys are to be pressed
 */
export async function sendCallAudio(options: CallAudioOptions): Promise<SentAudio> {
  const { legs, pacer, clock, ended, ptimeMs = 20 } = options;
  const running = openSenders(options, ptimeMs);
  const startMs = clock.monotonicMs();
  const senders = running.flatMap((leg) => leg?.sender ?? []);
  await Promise.all(senders.map((sender) => pacer.run(sender, startMs, ended)));

  const heard: HeardLeg[] = [];
  const reports = legs.map(({ source: { label, codec }, line, hearing }, legNo): LegReport => {
    const sender = running[legNo];
    if (sender === undefined || line.kind === 'refused') return { kind: 'refused', label, codec };
    if (hearing === undefined) return sender.sender.report();
    const back = readHeard(hearing.datagrams, {
      from: line,
      open: (datagram) => (sender.srtp === undefined ? datagram : sender.srtp.peer.unprotect(datagram)),
      startMs,
    });
    const laid = layOut(back.packets, HEARD_MAX_MS);
    heard.push({ label, codec, codes: new Uint8Array(0), ...laid, packets: back.packets });
    return { ...sender.sender.report(), heard: heardFigures(back) };
  });
  const isWhole = legs.every(
    ({ source }, legNo) =>
      running[legNo] === undefined ||
      running[legNo].sender.report().packets >= packetCount(source.codes, ptimeMs),
  );
  return { legs: reports, heard, isWhole };
}

interface Running {
  readonly sender: LegSender;
  readonly srtp: ReturnType<typeof protectionOf>;
}

function openSenders(options: CallAudioOptions, ptimeMs: number): (Running | undefined)[] {
  const {
    legs,
    keys = [],
    untilByeMs,
    clock,
    seed,
    impairments = NO_IMPAIRMENTS,
    firstSequenceNumber,
  } = options;
  const sources = legs.map(({ source }, legNo) =>
    lengthened(source, { ptimeMs, keys: legNo === 0 ? keys : [], untilByeMs }),
  );
  const plans = planCall({ legs: sources, ptimeMs, impairments, seed });
  return legs.map(({ line, sockets, key }, legNo) => {
    if (line.kind === 'refused') return undefined;
    const { start, plan } = plans[legNo]!;
    const srtp = protectionOf(key, line.crypto);
    const sender = new LegSender({
      source: sources[legNo]!,
      plan,
      start: { ...start, sequenceNumber: firstSequenceNumber ?? start.sequenceNumber },
      srtp,
      ptimeMs,
      sockets,
      remote: line,
      clock,
      keys:
        legNo === 0 && keys.length > 0
          ? { plan: planKeys(keys, ptimeMs), payloadType: eventType(line) }
          : undefined,
    });
    return { sender, srtp };
  });
}

function eventType({ telephoneEvent }: Extract<AnsweredLine, { kind: 'accepted' }>): number {
  if (telephoneEvent !== undefined) return telephoneEvent;
  throw new CallscribeError(
    'SIP_NO_COMMON_CODEC',
    'answer: found no telephone-event in the first line, expected one since keys are to be pressed (RFC 4733)',
  );
}
