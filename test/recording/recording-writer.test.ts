import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { newCallId, newLegId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import type { RecordingPolicy } from '../../src/recording/leg-recorder.ts';
import { RecordedLeg } from '../../src/recording/recorded-leg.ts';
import { RecordingWriter, type RecordingWriterOptions } from '../../src/recording/recording-writer.ts';
import { timesOpen } from '../support/open-files.ts';
import { audio, heard, listen, loss, type MediaCall, silence, tell } from './leg-media.ts';

let callsDir: string;
let writer: RecordingWriter;
const failures: string[] = [];
let unkeptSamples = 0;

beforeEach(async () => {
  callsDir = join(await mkdtemp(join(tmpdir(), 'callscribe-writer-')), 'calls');
  failures.length = 0;
  unkeptSamples = 0;
});
afterEach(async () => {
  await writer.close();
  await rm(join(callsDir, '..'), { recursive: true });
});

function open(options: Partial<RecordingWriterOptions> = {}): void {
  writer = new RecordingWriter({
    callsDir,
    spoolKey: randomBytes(32),
    clock: systemClock,
    logger: silentLogger,
    onWriteFailed: (code) => failures.push(code),
    onUnkept: (samples) => (unkeptSamples += samples),
    ...options,
  });
}

function openLeg(policy: RecordingPolicy = 'keep') {
  const callId = newCallId();
  const leg = writer.openLeg({ callId, legId: newLegId(callId), legNo: 0, policy });
  leg.start(new Date());
  return { leg, path: join(callsDir, callId, '0.g711') };
}

const SPEECH: readonly MediaCall[] = Array.from({ length: 300 }, (_, n) =>
  n % 23 === 22 ? loss(320) : n % 41 === 40 ? silence(3_000) : audio(160),
);

describe('RecordingWriter', () => {
  it('has what a leg heard on disk soon, though the leg goes on', async () => {
    open();
    const { leg, path } = openLeg();
    tell([audio(160), audio(160)], [leg]);
    await vi.waitFor(async () => {
      await using found = await RecordedLeg.open(path, { spoolKey: undefined });
      expect(found.facts).toMatchObject({ endSample: 320, end: 'cut-off' });
    });
  });

  it.each(['keep', 'spool', 'memory'] as const)(
    'gives a leg’s audio again while it is heard, byte for byte (%s)',
    async (policy) => {
      open();
      const { leg } = openLeg(policy);
      const live = listen();
      const source = leg.openSource();
      const later = leg.openSource();
      const pieces: Buffer[] = [];
      let at = 0;
      for (const [n, call] of SPEECH.entries()) {
        tell([call], [leg, live.sink]);
        expect(source.endSample).toBe(live.pcm().length / 2);
        if (n % 7 > 0) continue;
        const piece = await source.read(at, 8_000);
        pieces.push(piece);
        at += piece.length / 2;
      }
      leg.end();
      live.sink.end();
      for (let piece = await source.read(at, 8_000); piece.length > 0; piece = await source.read(at, 8_000)) {
        pieces.push(piece);
        at += piece.length / 2;
      }
      expect(Buffer.concat(pieces).equals(live.pcm())).toBe(true);
      await writer.written(leg);
      const all = Buffer.concat([await later.read(0, 30_000), await later.read(30_000, 80_000)]);
      expect(all.equals(live.pcm().subarray(0, all.length))).toBe(true);
      expect(all.length).toBe(Math.min(live.pcm().length, 220_000));
    },
  );

  it('keeps a spooled leg’s audio from whoever reads the disk, and no file of one that is kept in memory', async () => {
    open();
    const spooled = openLeg('spool');
    const memory = openLeg('memory');
    tell(SPEECH, [spooled.leg, memory.leg]);
    for (const { leg } of [spooled, memory]) leg.end();
    await writer.written(spooled.leg);
    expect(await readdir(callsDir)).toEqual([spooled.leg.options.callId]);
    await expect(RecordedLeg.open(spooled.path, { spoolKey: undefined })).rejects.toMatchObject({
      code: 'RECORDING_KEY',
    });
  });

  it('lets go of the oldest audio of a leg that is kept in memory, and says where the rest begins', async () => {
    open();
    const { leg } = openLeg('memory');
    const calls = Array.from({ length: 150 * 50 }, () => audio(160));
    tell(calls, [leg]);
    const source = leg.openSource();
    expect(leg.waiting.length).toBeLessThanOrEqual(120);
    expect(source.beginSample).toBeGreaterThan(20 * 8_000);
    expect(await source.read(0, 8_000)).toEqual(Buffer.alloc(16_000));
    const from = source.beginSample + 100;
    expect((await source.read(from, 8_000)).equals(heard(calls).subarray(from * 2, (from + 8_000) * 2))).toBe(
      true,
    );
    expect(unkeptSamples).toBe(0);
  });

  it('waits in memory while the disk refuses, is read from there, and writes all of it afterwards', async () => {
    await writeFile(callsDir, 'not a directory');
    open();
    const { leg, path } = openLeg();
    tell(SPEECH.slice(0, 150), [leg]);
    await vi.waitFor(() => {
      expect(failures).toContain('ENOTDIR');
    });
    expect(writer.failingLegs).toBe(1);
    tell(SPEECH.slice(150), [leg]);
    const source = leg.openSource();
    expect((await source.read(0, 8_000)).length).toBe(16_000);
    await rm(callsDir);
    leg.end();
    await writer.written(leg);
    expect(writer.failingLegs).toBe(0);
    await using found = await RecordedLeg.open(path, { spoolKey: undefined });
    expect(found.facts).toMatchObject({ end: 'ended', missing: [], endSample: leg.samples });
  });

  it('gives up the oldest audio beyond its bound, counts it, and keeps the rest in its place', async () => {
    await writeFile(callsDir, 'not a directory');
    open({ waitingMaxBytes: 16 * 8_192 });
    const { leg, path } = openLeg();
    const calls = Array.from({ length: 2_000 }, () => audio(160));
    tell(calls, [leg]);
    await vi.waitFor(() => {
      expect(unkeptSamples).toBeGreaterThan(0);
    });
    await rm(callsDir);
    leg.end();
    await writer.written(leg);
    expect(leg.unkept).toEqual([{ beginSample: 0, endSample: unkeptSamples }]);
    await using found = await RecordedLeg.open(path, { spoolKey: undefined });
    expect(found.facts.missing).toEqual([{ beginSample: 0, endSample: unkeptSamples }]);
    const rest = await found.source.read(unkeptSamples, 8_000);
    expect(rest.equals(heard(calls).subarray(unkeptSamples * 2, (unkeptSamples + 8_000) * 2))).toBe(true);
  });

  it.each(['keep', 'spool'] as const)(
    'keeps no file of an ended leg open, and opens it again for who reads (%s)',
    async (policy) => {
      open();
      const { leg, path } = openLeg(policy);
      const source = leg.openSource();
      tell(SPEECH, [leg]);
      leg.end();
      const resting = writer.rest(leg);
      // From memory, since it is not written yet.
      const begin = await source.read(0, 8_000);
      await resting;
      expect(await timesOpen(path)).toBe(0);
      const rest = await source.read(8_000, 80_000);
      expect(Buffer.concat([begin, rest]).equals(heard(SPEECH).subarray(0, 176_000))).toBe(true);
      expect((await leg.openSource().read(0, 8_000)).equals(begin)).toBe(true);
      expect(await timesOpen(path)).toBe(1);
      await writer.release(leg);
      expect(await timesOpen(path)).toBe(0);
      await expect(leg.openSource().read(0, 8_000)).rejects.toMatchObject({ code: 'RECORDING_STORAGE' });
    },
  );

  it('says so when the file of an ended leg is gone, and reads it when it is back', async () => {
    open();
    const { leg, path } = openLeg();
    tell(SPEECH, [leg]);
    leg.end();
    await writer.rest(leg);
    await rename(path, `${path}.away`);
    const source = leg.openSource();
    const refusal = { code: 'RECORDING_STORAGE', retryable: true };
    await expect(source.read(0, 8_000)).rejects.toMatchObject(refusal);
    await rename(`${path}.away`, path);
    expect((await source.read(0, 8_000)).equals(heard(SPEECH).subarray(0, 16_000))).toBe(true);
    await writer.release(leg);
  });

  it('refuses to read from a leg that was let go of', async () => {
    open();
    const { leg } = openLeg();
    tell(SPEECH, [leg]);
    const source = leg.openSource();
    await writer.release(leg);
    await expect(source.read(0, 8_000)).rejects.toMatchObject({ code: 'RECORDING_STORAGE' });
  });
});
