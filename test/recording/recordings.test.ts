import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { newCallId, newLegId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { deleteOldRecordings } from '../../src/recording/delete-old-recordings.ts';
import { openKeptLeg, saveKeptCall } from '../../src/recording/kept-call.ts';
import { Recordings, type RecordingsOptions } from '../../src/recording/recordings.ts';
import { openSpoolKey } from '../../src/recording/spool-key.ts';
import { timesOpen } from '../support/open-files.ts';
import { audio, heard, loss, tell } from './leg-media.ts';

let directory: string;
let recordings: Recordings | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-recordings-'));
});
afterEach(async () => {
  await recordings?.close();
  recordings = undefined;
  await rm(directory, { recursive: true });
});

const callsDir = (): string => join(directory, 'calls');
const recordingDir = (): string => join(directory, 'recordings');

function open(options: Partial<RecordingsOptions> = {}): Recordings {
  return (recordings = new Recordings({
    callsDir: callsDir(),
    recordingDir: recordingDir(),
    policy: 'keep',
    keepDays: undefined,
    spoolKey: randomBytes(32),
    clock: systemClock,
    logger: silentLogger,
    ...options,
  }));
}

const CALLS = Array.from({ length: 200 }, (_, n) => (n % 9 === 8 ? loss(160) : audio(160)));

function recordedCall(
  of: Recordings,
  ...policy: Parameters<Recordings['openCall']> extends [unknown, ...infer P] ? P : never
) {
  const callId = newCallId();
  const startedAt = new Date('2026-11-22T12:00:00.000Z');
  const call = of.openCall({ callId, startedAt }, ...policy);
  const legs = [0, 1].map((legNo) => call.openLeg({ legId: newLegId(callId), legNo }));
  for (const leg of legs) {
    leg.start(startedAt);
    tell(CALLS, [leg]);
    leg.end();
  }
  const finish = () =>
    call.finish([
      { legNo: 0, role: 'agent' },
      { legNo: 1, role: 'customer' },
    ]);
  return { callId, call, finish, legs };
}

describe('Recordings', () => {
  it('makes a call’s recording of what its recognisers got, and leaves nothing else', async () => {
    const { callId, call, finish } = recordedCall(open());
    await vi.waitFor(async () => {
      expect(await readdir(join(callsDir(), callId))).toHaveLength(2);
    });
    const outcome = await finish();
    await call.remove();
    expect(outcome).toMatchObject({
      kind: 'saved',
      missingMs: 0,
      recording: { file: `2026-11/${callId}.wav` },
    });
    const wav = await readFile(join(recordingDir(), `2026-11/${callId}.wav`));
    const samples = new Int16Array(wav.buffer.slice(wav.byteOffset + 44, wav.byteOffset + wav.length));
    const pcm = heard(CALLS);
    const expected = new Int16Array(pcm.buffer.slice(pcm.byteOffset, pcm.byteOffset + pcm.length));
    expect(samples.filter((_, i) => i % 2 === 0)).toEqual(expected);
    expect(samples.filter((_, i) => i % 2 === 1)).toEqual(expected);
    expect(await readdir(directory, { recursive: true })).toEqual([
      'calls',
      'recordings',
      'recordings/2026-11',
      `recordings/2026-11/${callId}.wav`,
    ]);
  });

  it.each(['spool', 'memory'] as const)('keeps nothing of a call whose policy is %s', async (policy) => {
    const { call, finish } = recordedCall(open(), policy);
    await expect(finish()).resolves.toEqual({ kind: 'none' });
    await call.remove();
    const files = await readdir(directory, { recursive: true });
    expect(files.filter((file) => file !== 'calls')).toEqual([]);
  });

  it('leaves the legs’ files when the recording cannot be made before the process ends', async () => {
    await writeFile(recordingDir(), 'not a directory');
    const onSaved = vi.fn();
    const { callId, call, finish } = recordedCall(open({ onSaved }));
    const finishing = finish();
    await vi.waitFor(async () => {
      expect(await readdir(join(callsDir(), callId))).toHaveLength(2);
    });
    await recordings!.close();
    await expect(finishing).resolves.toEqual({ kind: 'failed', code: 'RECORDING_STORAGE' });
    await call.release();
    expect(onSaved).toHaveBeenCalledWith('failed');
    expect(await readdir(join(callsDir(), callId))).toEqual(['0.g711', '1.g711']);
  });

  it('says which audio of a recording is missing', async () => {
    await writeFile(callsDir(), 'not a directory');
    const { finish, legs } = recordedCall(open({ waitingMaxBytes: 8_192 }));
    await vi.waitFor(() => {
      expect(legs.some(({ unkeptSamples }) => unkeptSamples > 0)).toBe(true);
    });
    const outcome = await finish();
    if (outcome.kind !== 'saved') throw new Error(outcome.kind);
    expect(outcome.missing[0]).toMatchObject({ beginMs: 0 });
    expect(outcome.missing.reduce((sum, { beginMs, endMs }) => sum + endMs - beginMs, 0)).toBe(
      outcome.missingMs,
    );
  });

  it('makes the recordings of many calls that end together', async () => {
    const of = open();
    const calls = Array.from({ length: 12 }, () => recordedCall(of));
    const outcomes = await Promise.all(calls.map(({ finish }) => finish()));
    expect(outcomes.every(({ kind }) => kind === 'saved')).toBe(true);
    expect(await readdir(join(recordingDir(), '2026-11'))).toHaveLength(12);
  });

  it('lets a call that nothing was heard of go past those whose recordings wait for the disk', async () => {
    await writeFile(recordingDir(), 'not a directory');
    const of = open();
    const waiting = Array.from({ length: 40 }, () => recordedCall(of));
    const finishing = Promise.all(waiting.map(({ finish }) => finish()));
    const silent = of.openCall({ callId: newCallId(), startedAt: new Date() });
    silent.openLeg({ legId: newLegId(newCallId()), legNo: 0 }).end();
    await expect(silent.finish([{ legNo: 0, role: 'agent' }])).resolves.toEqual({ kind: 'none' });
    const files = waiting.flatMap(({ legs }) => legs.map(({ options }) => options.path));
    await expect
      .poll(async () => Math.max(...(await Promise.all(files.map((file) => timesOpen(file))))))
      .toBe(0);
    await of.close();
    expect((await finishing).every(({ kind }) => kind === 'failed')).toBe(true);
  });

  it('deletes recordings that are older than they may be, at its start', async () => {
    const old = await plant(new Date(Date.now() - 8 * 86_400_000));
    const young = await plant(new Date(Date.now() - 6 * 86_400_000));
    const onDeleted = vi.fn();
    open({ keepDays: 7, onDeleted });
    await vi.waitFor(() => {
      expect(onDeleted).toHaveBeenCalledWith(1);
    });
    await expect(stat(old)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(stat(young)).resolves.toBeDefined();
  });
});

async function plant(startedAt: Date, name = `${newCallId(startedAt)}.wav`): Promise<string> {
  const month = join(recordingDir(), startedAt.toISOString().slice(0, 7));
  await mkdir(month, { recursive: true });
  await writeFile(join(month, name), 'RIFF');
  return join(month, name);
}

describe('saveKeptCall', () => {
  it('makes the same recording of a call whose process was killed, and none of one that was sealed', async () => {
    const spoolKey = randomBytes(32);
    const of = open({ spoolKey });
    const { callId, finish } = recordedCall(of);
    const sealed = recordedCall(of, 'spool');
    const outcome = await finish();
    // What a killed process leaves, but for its last quarter of a second.
    await of.close();
    const legs = [
      { legNo: 0, role: 'agent' },
      { legNo: 1, role: 'customer' },
      { legNo: 2, role: 'unknown' },
    ] as const;
    const startedAt = new Date('2026-11-22T12:00:00.000Z');
    const again = { startedAt, legs, spoolKey, recordingDir: join(directory, 'again') };
    const saved = await saveKeptCall({ ...again, callId, directory: join(callsDir(), callId) });
    expect({ kind: 'saved', ...saved }).toEqual(outcome);
    const none = { ...again, callId: sealed.callId, directory: join(callsDir(), sealed.callId) };
    await expect(saveKeptCall(none)).resolves.toBeUndefined();
    await using leg = (await openKeptLeg(none.directory, 1, spoolKey))!;
    expect(await leg.source.read(0, 8_000)).toEqual(heard(CALLS).subarray(0, 16_000));
    expect(leg.lostSamples(0, 80_000)).toBe(0);
  });

  it('finds no leg in a file whose header was never finished', async () => {
    await writeFile(join(directory, '0.g711'), 'CSG711');
    await expect(openKeptLeg(directory, 0, undefined)).resolves.toBeUndefined();
    await expect(openKeptLeg(directory, 1, undefined)).resolves.toBeUndefined();
  });
});

describe('deleteOldRecordings', () => {
  it('goes by the call’s time, deletes months that are empty then, and leaves what is no recording', async () => {
    const before = new Date('2026-03-15T12:00:00Z');
    const remaining = [
      await plant(new Date('2026-03-15T12:00:00.000Z')),
      await plant(new Date('2026-01-05T00:00:00Z'), 'notes.txt'),
      await plant(new Date('2026-04-01T00:00:00Z')),
    ];
    await plant(new Date('2026-03-15T11:59:59.999Z'));
    await plant(new Date('2026-02-01T00:00:00Z'));
    await plant(new Date('2026-02-02T00:00:00Z'), `${newCallId(new Date('2026-02-02T00:00:00Z'))}.wav.part`);
    // Ids of calls before ids were in the order of time.
    const random = await plant(new Date('2026-02-03T00:00:00Z'), '0b4a1a52-7c1e-4a0e-9d2f-1f2e3d4c5b6a.wav');
    await utimes(random, new Date('2026-02-03'), new Date('2026-02-03'));
    expect(await deleteOldRecordings(recordingDir(), before)).toBe(4);
    const files = await readdir(recordingDir(), { recursive: true });
    expect(
      files
        .filter((file) => file.includes('.'))
        .map((file) => join(recordingDir(), file))
        .sort(),
    ).toEqual(remaining.sort());
    expect(files).not.toContain('2026-02');
  });

  it('finds nothing where there is no directory', async () => {
    await expect(deleteOldRecordings(recordingDir(), new Date())).resolves.toBe(0);
  });
});

describe('openSpoolKey', () => {
  it('makes one key for all who ask at once, which only its owner can read', async () => {
    const path = join(directory, 'keys', 'spool.key');
    const keys = await Promise.all(Array.from({ length: 8 }, () => openSpoolKey(path)));
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1);
    expect(keys[0]).toHaveLength(32);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(directory, 'keys'))).toEqual(['spool.key']);
  });

  it('refuses a file that holds something else', async () => {
    const path = join(directory, 'spool.key');
    await writeFile(path, 'secret');
    await expect(openSpoolKey(path)).rejects.toMatchObject({ code: 'RECORDING_KEY' });
    await expect(openSpoolKey(join(path, 'below'))).rejects.toMatchObject({ code: 'RECORDING_STORAGE' });
  });
});
