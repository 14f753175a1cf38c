import { Writable } from 'node:stream';

import type { Pool } from 'pg';
import { describe, expect, it } from 'vitest';

import type { CallId } from '../../src/ids.ts';
import { createLogger } from '../../src/log.ts';
import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import type { StoredEvent } from '../../src/store/stored.ts';
import { eventsOf } from '../support/events-of.ts';
import { placeCalls, type PlannedLeg } from '../support/place-calls.ts';
import { type SampleSlice, sampleSlices } from '../support/sample-slices.ts';
import { completedCalls, startTestService } from '../support/service.ts';

const toLeg = (slice: SampleSlice, legNo: number): PlannedLeg => ({
  codec: slice.codec,
  codesBase64: Buffer.from(slice.codes).toString('base64'),
  label: String(legNo + 1),
});

/** The shortest sentence of each party. */
async function shortLegs(): Promise<{ slices: SampleSlice[]; legs: PlannedLeg[] }> {
  const parties = [await sampleSlices('agent'), await sampleSlices('customer')];
  const slices = parties.map((own) => own.reduce((a, b) => (b.codes.length < a.codes.length ? b : a)));
  return { slices, legs: slices.map(toLeg) };
}

function logLines(): { lines: string[]; logger: ReturnType<typeof createLogger> } {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString('utf8'));
      done();
    },
  });
  return { lines, logger: createLogger({ level: 'trace', format: 'json', destination }) };
}

/** Participants and reports of the media have events of their own. */
async function recogniserEvents(pool: Pool, callIds: readonly CallId[]): Promise<StoredEvent[]> {
  const events = (await Promise.all(callIds.map((id) => eventsOf(pool, id)))).flat();
  return events.filter(({ kind }) => kind.startsWith('asr_'));
}

describe('when the recogniser fails', { timeout: 60_000 }, () => {
  it('unreachable: the call is stored as failed, with an event for each leg, and the line names the way out', async () => {
    const { lines, logger } = logLines();
    await using test = await startTestService({
      queue: 'postgres',
      logger,
      env: {
        DASHSCOPE_WS_URL: 'ws://127.0.0.1:1/api-ws/v1/inference',
        DASHSCOPE_API_KEY: 'sk-never-shown',
        ASR_AFTER_CALL_SECONDS: '0',
      },
    });
    const { legs } = await shortLegs();
    await placeCalls({
      target: test.target('udp'),
      transport: 'udp',
      calls: [{ mode: 'siprec', seed: 1, legs }],
    });
    const [call] = await completedCalls(test.pool, 1);
    expect(call?.state).toBe('failed');
    const events = await recogniserEvents(test.pool, [call!.id]);
    const failed = {
      kind: 'asr_failed',
      detail: expect.objectContaining({ code: 'ASR_UNREACHABLE' }) as unknown,
    };
    const unrecognised = {
      kind: 'asr_unrecognised',
      detail: expect.objectContaining({ beginMs: 0 }) as unknown,
    };
    expect(events).toHaveLength(4);
    expect(events).toEqual(
      expect.arrayContaining(
        [failed, unrecognised].map((expected) => expect.objectContaining(expected) as unknown),
      ),
    );
    const [leg] = await loadLegs(test.pool, call!.id);
    expect(Number(leg?.media?.['unrecognisedMs'])).toBeGreaterThan(0);
    const failures = lines.filter((line) => line.includes('"recognition failed"'));
    expect(failures).toHaveLength(2);
    expect(failures[0]).toContain('DASHSCOPE_WS_URL');
    expect(lines.join('')).not.toContain('sk-never-shown');
  });

  it('one leg’s task fails: another takes over, every sentence is there, and an event tells', async () => {
    await using sandbox = await startSandbox({
      host: '127.0.0.1',
      port: 0,
      recogniser: captionsRecogniser,
      logger: silentLogger,
      faults: (_task, taskNo) =>
        taskNo === 1 ? { failAtFrame: { frame: 5, code: 'InternalError', message: 'scripted' } } : undefined,
    });
    await using test = await startTestService({
      queue: 'postgres',
      env: { DASHSCOPE_WS_URL: sandbox.url, DASHSCOPE_API_KEY: 'any' },
    });
    const { slices, legs } = await shortLegs();
    const call = (seed: number): { mode: 'siprec'; seed: number; legs: PlannedLeg[] } => ({
      mode: 'siprec',
      seed,
      legs,
    });
    await placeCalls({ target: test.target('tcp'), transport: 'tcp', calls: [call(1), call(2)] });
    const calls = await completedCalls(test.pool, 2);
    expect(calls.map(({ state }) => state)).toEqual(['complete', 'complete']);
    const events = await recogniserEvents(
      test.pool,
      calls.map(({ id }) => id),
    );
    expect(events).toMatchObject([
      { kind: 'asr_reconnected', detail: { attempt: 1, code: 'ASR_TASK_FAILED' } },
    ]);
    const texts = (await Promise.all(calls.map(({ id }) => loadTranscript(test.pool, id))))
      .flat()
      .map(({ text }) => text);
    // Four legs, of which one lost its recogniser in the middle of its sentence.
    expect(texts).toHaveLength(4);
    for (const text of texts) expect(slices.map(({ sentence }) => sentence.text)).toContain(text);
  });
});

it(
  'messages of the recogniser that cannot be read are dropped, and an event of the call counts them',
  { timeout: 60_000 },
  async () => {
    await using sandbox = await startSandbox({
      host: '127.0.0.1',
      port: 0,
      recogniser: captionsRecogniser,
      logger: silentLogger,
      faults: () => ({ noise: true }),
    });
    await using test = await startTestService({
      queue: 'postgres',
      env: { DASHSCOPE_WS_URL: sandbox.url, DASHSCOPE_API_KEY: 'any' },
    });
    const { slices, legs } = await shortLegs();
    await placeCalls({
      target: test.target('udp'),
      transport: 'udp',
      calls: [{ mode: 'two-legs', seed: 1, legs }],
    });
    const [call] = await completedCalls(test.pool, 1);
    const texts = (await loadTranscript(test.pool, call!.id)).map(({ text }) => text).sort();
    expect(texts).toEqual(slices.map(({ sentence }) => sentence.text).sort());
    const events = await recogniserEvents(test.pool, [call!.id]);
    expect(events.map(({ kind }) => kind)).toEqual(['asr_malformed', 'asr_malformed']);
    expect(Number(events[0]?.detail['messages'])).toBeGreaterThan(0);
  },
);

it(
  'no log line at any level holds a transcript, a number, a session description or a header',
  { timeout: 60_000 },
  async () => {
    const { lines, logger } = logLines();
    await using test = await startTestService({ queue: 'postgres', logger });
    const { slices, legs } = await shortLegs();
    const party = { name: '王先生', aor: 'sip:+8613912345678@carrier.example', role: 'customer' };
    await placeCalls({
      target: test.target('udp'),
      transport: 'udp',
      calls: [
        {
          mode: 'siprec',
          seed: 1,
          headers: ['X-Genesys-CallUUID: secret-uuid'],
          legs: legs.map((leg) => ({ ...leg, party })),
        },
      ],
    });
    const [call] = await completedCalls(test.pool, 1);
    expect(await loadTranscript(test.pool, call!.id)).toHaveLength(2);
    const log = lines.join('');
    expect(log).toContain('call ended');
    for (const personal of [
      ...slices.map(({ sentence }) => sentence.text),
      '王先生',
      '13912345678',
      'secret-uuid',
      'm=audio',
    ]) {
      expect(log).not.toContain(personal);
    }
  },
);
