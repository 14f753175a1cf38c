import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { type SampleSlice, sampleSlices } from '../support/sample-slices.ts';
import { completedCalls, startTestService } from '../support/service.ts';

const run = promisify(execFile);

let slice: SampleSlice;
let folder: string;
beforeAll(async () => {
  const slices = await sampleSlices('agent');
  slice = slices.reduce((shortest, next) => (next.codes.length < shortest.codes.length ? next : shortest));
  folder = await mkdtemp(join(tmpdir(), 'callscribe-sipp-'));
  // Raw A-law, sent as it stands by SIPp's own RTP.
  await writeFile(join(folder, 'audio.alaw'), slice.codes);
  const scenario = await readFile(new URL('./sipp-call.xml', import.meta.url), 'utf8');
  const audioMs = slice.codes.length / 8 + 300;
  await writeFile(
    join(folder, 'call.xml'),
    scenario.replaceAll('AUDIO_FILE', join(folder, 'audio.alaw')).replaceAll('AUDIO_MS', String(audioMs)),
  );
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** SIPp (Debian: sip-tester) is not ours: other SIP, other RTP, other clock. `npm test` installs it. */
describe('a call by sipp, with its own audio', () => {
  it.each([
    { transport: 'udp', flag: 'u1', queue: 'redis' },
    { transport: 'tcp', flag: 't1', queue: 'postgres' },
  ] as const)('over $transport, queue on $queue', { timeout: 60_000 }, async ({ transport, flag, queue }) => {
    await using test = await startTestService({ queue, redisDb: 2 });
    const address = test.target(transport).replace('sip:', '');
    await run(
      'sipp',
      [
        '-sf',
        join(folder, 'call.xml'),
        '-t',
        flag,
        '-m',
        '1',
        '-nostdin',
        '-timeout',
        '30',
        '-timeout_error',
        '-i',
        '127.0.0.1',
        '-s',
        'recorder',
        address,
      ],
      { cwd: folder, env: { ...process.env, TERM: 'dumb' } },
    );
    const [call] = await completedCalls(test.pool, 1);
    expect(call).toMatchObject({
      state: 'complete',
      direction: 'inbound',
      endReason: 'bye',
      mapping: 'signalled',
    });
    const [leg, ...others] = await loadLegs(test.pool, call!.id);
    expect(others).toEqual([]);
    expect(leg).toMatchObject({ codec: 'PCMA', role: 'unknown', sentenceCount: 1 });
    expect(leg?.media).toMatchObject({ packetsLost: 0, packetsMalformed: 0, packetsForeign: 0 });
    const sentences = await loadTranscript(test.pool, call!.id);
    expect(sentences.map(({ text }) => text)).toEqual([slice.sentence.text]);
    expect(Math.abs(sentences[0]!.beginMs - slice.beginMs)).toBeLessThanOrEqual(60);
    expect(Math.abs(sentences[0]!.endMs - slice.endMs)).toBeLessThanOrEqual(60);
  });
});
