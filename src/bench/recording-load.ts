import { randomBytes } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

import type { Clock } from '../clock.ts';
import { newCallId, newLegId } from '../ids.ts';
import { silentLogger } from '../log.ts';
import type { LegRecorder } from '../recording/leg-recorder.ts';
import { RecordingWriter } from '../recording/recording-writer.ts';
import { SlotPacer } from './slot-pacer.ts';

/** `keep` and `spool` are what an intake does; see `RecordingBenchResult` for the others. */
export const RECORDING_WAYS = ['none', 'sequential', 'keep', 'spool'] as const;
export type RecordingWay = (typeof RECORDING_WAYS)[number];

export interface RecordingLoadOptions {
  readonly way: RecordingWay;
  readonly legs: number;
  readonly seconds: number;
  /** On the disk that is meant; what is written is deleted. */
  readonly directory: string;
}

export interface RecordingLoadReport {
  readonly way: RecordingWay;
  readonly legs: number;
  readonly measuredMs: number;
  readonly cpuUsPerLegSecond: number;
  /** Of one core, all threads of the process together. */
  readonly cpuShare: number;
  readonly audioBytes: number;
  readonly diskBytes: number;
  readonly writes: number;
  /** The oldest audio that was not with the operating system, as looked at every 20 ms. */
  readonly behindMaxMs: number;
  /** How late a packet was for its time: what the writing kept the packets waiting. */
  readonly lateMaxMs: number;
}

const PACKET_MS = 20;
const PACKET_SAMPLES = 160;
const SAMPLES_PER_MS = 8;
/** What the sequential writer gathers: a quarter of a second, as the legs do. */
const GATHER_MS = 250;
/** Until it is measured, files are opened, which calls do by and by, and not all at once. */
const WARM_UP_MS = 1_500;
const WARM_UP_MAX_MS = 10_000;
const SETTLED_MS = 1_000;

/** Where packets go to, and what it says of itself. */
interface Taker extends AsyncDisposable {
  take(leg: number, packet: Uint8Array): void;
  behindMs(): number;
  readonly written: { bytes: number; writes: number };
}

/** Gives `legs` legs a packet of G.711 each 20 ms, to be recorded in this process, and measures it. */
export async function runRecordingLoad(
  { way, legs, seconds, directory }: RecordingLoadOptions,
  clock: Clock,
): Promise<RecordingLoadReport> {
  const own = await mkdtemp(join(directory, 'bench-recording-'));
  try {
    await using taker = await openTaker(way, legs, own, clock);
    const packets = Array.from({ length: 64 }, () => randomBytes(12 + PACKET_SAMPLES));
    let taken = 0;
    let lateMaxMs = 0;
    let behindMaxMs = 0;
    using _ = SlotPacer.start({
      clock,
      intervalMs: PACKET_MS,
      slots: legs,
      onSlot: (slot, dueMs) => {
        taker.take(slot, packets[taken & 63]!);
        taken++;
        if (slot > 0) return;
        lateMaxMs = Math.max(lateMaxMs, clock.monotonicMs() - dueMs);
        behindMaxMs = Math.max(behindMaxMs, taker.behindMs());
      },
    });
    await elapsed(WARM_UP_MS);
    for (let ms = WARM_UP_MS; ms < WARM_UP_MAX_MS && taker.behindMs() > SETTLED_MS; ms += 100) {
      await elapsed(100);
    }
    const before = { taken, ...taker.written, cpu: process.cpuUsage(), atMs: clock.monotonicMs() };
    lateMaxMs = behindMaxMs = 0;
    await elapsed(seconds * 1_000);
    const { user, system } = process.cpuUsage(before.cpu);
    const measuredMs = clock.monotonicMs() - before.atMs;
    const cpuUs = user + system;
    return {
      way,
      legs,
      measuredMs: Math.round(measuredMs),
      cpuUsPerLegSecond: Math.round((cpuUs / legs / measuredMs) * 10_000) / 10,
      cpuShare: Math.round(cpuUs / measuredMs) / 1_000,
      audioBytes: (taken - before.taken) * PACKET_SAMPLES,
      diskBytes: taker.written.bytes - before.bytes,
      writes: taker.written.writes - before.writes,
      behindMaxMs: Math.round(behindMaxMs),
      lateMaxMs: Math.round(lateMaxMs * 10) / 10,
    };
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

function openTaker(way: RecordingWay, legs: number, directory: string, clock: Clock): Promise<Taker> | Taker {
  if (way === 'none') return nobody();
  return way === 'sequential'
    ? sequentialWriter(legs, directory, clock)
    : recorders(way, legs, directory, clock);
}

function nobody(): Taker {
  return {
    take: () => undefined,
    behindMs: () => 0,
    written: { bytes: 0, writes: 0 },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function recorders(way: 'keep' | 'spool', legs: number, callsDir: string, clock: Clock): Taker {
  const written = { bytes: 0, writes: 0 };
  const writer = new RecordingWriter({
    callsDir,
    spoolKey: randomBytes(32),
    clock,
    logger: silentLogger,
    onWritten: (bytes) => {
      written.bytes += bytes;
      written.writes++;
    },
  });
  const all: LegRecorder[] = [];
  for (let no = 0; no < legs; no += 2) {
    const callId = newCallId();
    for (const legNo of [0, 1]) {
      const leg = writer.openLeg({ callId, legId: newLegId(callId), legNo, policy: way });
      leg.start(clock.wallTime());
      all.push(leg);
    }
  }
  return {
    take: (leg, packet) => {
      all[leg]!.audio('PCMU', packet, 12, 12 + PACKET_SAMPLES);
    },
    behindMs: () =>
      all.reduce((most, leg) => Math.max(most, leg.samples - leg.writtenSample), 0) / SAMPLES_PER_MS,
    written,
    [Symbol.asyncDispose]: () => writer.close(),
  };
}

/** One file, one piece after the other: what `cat` would do. */
async function sequentialWriter(legs: number, directory: string, clock: Clock): Promise<Taker> {
  const file = await open(join(directory, 'sequential'), 'w');
  const written = { bytes: 0, writes: 0 };
  const roomBytes = Math.ceil((legs * PACKET_SAMPLES * GATHER_MS) / PACKET_MS);
  let [room, other] = [Buffer.alloc(roomBytes), Buffer.alloc(roomBytes)];
  let at = 0;
  let beganMs = clock.monotonicMs();
  let writing = Promise.resolve();
  return {
    take: (_, packet) => {
      for (let from = 12; from < packet.length;) room[at++] = packet[from++]!;
      if (at < roomBytes) return;
      const full = room;
      [room, other] = [other, full];
      at = 0;
      writing = writing.then(async () => {
        const { bytesWritten } = await file.write(full, 0, full.length, written.bytes);
        written.bytes += bytesWritten;
        written.writes++;
        beganMs = clock.monotonicMs();
      });
    },
    behindMs: () => clock.monotonicMs() - beganMs,
    written,
    [Symbol.asyncDispose]: async () => {
      await writing;
      await file.close();
    },
  };
}

const elapsed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
