import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import type { LegAudioSource } from '../../src/asr/audio-source.ts';
import type { Publisher } from '../../src/call/publisher.ts';
import type { CallEvent, CallRecord } from '../../src/call/record.ts';
import type { UnrecognisedCall } from '../../src/call/unrecognised.ts';
import { CallscribeError } from '../../src/errors.ts';
import { silentLogger } from '../../src/log.ts';
import { claimIntake, type IntakeClaim } from '../../src/recovery/intake-claim.ts';
import { JournalFile } from '../../src/recovery/journal-file.ts';
import { Recovery, type RecoveryOptions } from '../../src/recovery/recovery.ts';
import type { FinalSentence } from '../../src/transcript/sentence.ts';
import { aCall, aLeg, finishing } from '../support/facts.ts';

let dataDir: string;
let own: IntakeClaim;
let started: Recovery[];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'callscribe-recovery-'));
  own = await claimIntake(dataDir);
  started = [];
});
afterEach(async () => {
  for (const recovery of started) await recovery.close();
  await own.release();
  await rm(dataDir, { recursive: true, force: true });
});

/** What comes out of a recovery, in order. */
class Books implements Publisher {
  readonly sentences: FinalSentence[] = [];
  readonly calls: CallRecord[] = [];
  readonly events: CallEvent[] = [];

  publishSentence(sentence: FinalSentence): void {
    this.sentences.push(sentence);
  }
  publishCall(call: CallRecord): void {
    this.calls.push(call);
  }
  publishEvent(event: CallEvent): void {
    this.events.push(event);
  }
  written(): Promise<'written'> {
    return Promise.resolve('written');
  }
}

const SAMPLES = 80_000;
const source: LegAudioSource = {
  beginSample: 0,
  endSample: SAMPLES,
  read: () => Promise.resolve(Buffer.alloc(0)),
};

interface Told {
  readonly outcomes: string[];
  readonly stretches: (readonly [from: number, to: number])[];
  readonly byes: string[];
  readonly finished: CallRecord[];
  readonly kept: UnrecognisedCall[];
}

/** Every stretch is said to hold one sentence of a second, at its begin. */
function start(publisher: Publisher, told: Told, over: Partial<RecoveryOptions> = {}): Recovery {
  let nowMs = 0;
  const recovery = Recovery.start({
    dataDir,
    owner: own.owner,
    publisher,
    // Time flies: a pause between attempts is over at the next look.
    clock: { wallTime: () => new Date(), monotonicMs: () => (nowMs += 100_000_000) },
    logger: silentLogger,
    intervalMs: 20,
    openLeg: () =>
      Promise.resolve({
        startedAt: new Date(),
        source,
        lostSamples: () => 0,
        cutSamples: [],
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    recognise: ({ fromSample, toSample, onFinal }) => {
      told.stretches.push([fromSample, toSample]);
      const beginMs = fromSample / 8;
      onFinal({
        kind: 'final',
        taskId: 't',
        beginMs,
        endMs: beginMs + 1_000,
        text: '好',
        words: [],
        emotion: undefined,
      });
      return Promise.resolve({ unrecognised: [], error: undefined });
    },
    hangUp: ({ sipCallId }) => {
      told.byes.push(sipCallId);
      return Promise.resolve('ended');
    },
    finishCall: (_, record) => {
      told.finished.push(record);
      return Promise.resolve();
    },
    keepUnrecognised: (call) => {
      told.kept.push(call);
      return Promise.resolve();
    },
    onCall: (outcome) => told.outcomes.push(outcome),
    ...over,
  });
  started.push(recovery);
  return recovery;
}

const nothing = (): Told => ({ outcomes: [], stretches: [], byes: [], finished: [], kept: [] });

/** A call with two legs, as a process left it that is no more; the first leg has two sentences. */
async function leave(owner = 'a-dead-process', call = twoLegs()): Promise<CallRecord> {
  const journal = new JournalFile({
    callId: call.id,
    directory: join(dataDir, 'calls', call.id),
    owner,
    logger: silentLogger,
    onFailed: () => undefined,
  });
  journal.record(call);
  journal.dialog({
    sipCallId: `sip-${call.id}`,
    localTag: 'l',
    remoteTag: 'r',
    localAddress: '<sip:us@a>',
    remoteAddress: '<sip:them@b>;tag=r',
    remoteTarget: 'sip:them@b',
    routeSet: [],
  });
  journal.event(7);
  journal.sentence(0, 1, 1_500);
  journal.sentence(0, 2, 4_000);
  await journal.release();
  return call;
}

const twoLegs = (): CallRecord => {
  const started = new Date('2026-11-22T10:00:00Z');
  const leg = { startedAt: started, endedAt: undefined, sentenceCount: undefined, media: undefined };
  return aCall({
    state: 'active',
    revision: 3,
    endedAt: undefined,
    endReason: undefined,
    legs: [aLeg({ ...leg, legNo: 0 }), aLeg({ ...leg, legNo: 1 })],
  });
};

const callsLeft = (): Promise<string[]> => readdir(join(dataDir, 'calls')).catch(() => []);

it('finishes a call of a dead process: BYE, what has no sentence, its record, and nothing is left', async () => {
  const call = await leave();
  const books = new Books();
  const told = nothing();
  start(books, told);
  await expect.poll(callsLeft).toEqual([]);

  expect(told).toMatchObject({ outcomes: ['recovered'], byes: [`sip-${call.id}`] });
  // From the end of the last final sentence, and from the begin of the leg that has none.
  expect(told.stretches).toEqual([
    [32_000, SAMPLES],
    [0, SAMPLES],
  ]);
  expect(books.sentences.map(({ legNo, sentenceNo, beginMs }) => [legNo, sentenceNo, beginMs])).toEqual([
    [0, 3, 4_000],
    [1, 1, 0],
  ]);
  expect(books.sentences[0]!.beginAt).toEqual(new Date('2026-11-22T10:00:04Z'));
  expect(books.calls).toHaveLength(1);
  const [record] = books.calls;
  expect(record).toMatchObject({
    id: call.id,
    state: 'finishing',
    endReason: 'recovered',
    endedAt: new Date('2026-11-22T10:00:10Z'),
    legs: [{ sentenceCount: 3 }, { sentenceCount: 1 }],
  });
  expect(record!.revision).toBeGreaterThan(call.revision);
  expect(books.events).toMatchObject([{ kind: 'recovered', detail: { sentences: 2, byes: ['ended'] } }]);
  expect(books.events[0]!.eventNo).toBeGreaterThan(7);
  expect(told.finished).toEqual([record]);
});

it('goes by the rule that took the call, though that was another process and the file has changed since', async () => {
  const rule = { rule: 'acme', phraseId: undefined, keepsWords: false, webhooks: ['crm'] };
  const parameters = { max_sentence_silence: 600 };
  const call = twoLegs();
  await leave('a-dead-process', { ...call, metadata: { ...call.metadata, route: { ...rule, parameters } } });
  const books = new Books();
  const asked: unknown[] = [];
  start(books, nothing(), {
    recognise: ({ fromSample, onFinal, parameters: given }) => {
      asked.push(given);
      const words = [{ text: '好', beginMs: 0, endMs: 100, punctuation: '' }];
      const times = { beginMs: fromSample / 8, endMs: fromSample / 8 + 1_000 };
      onFinal({ kind: 'final', taskId: 't', ...times, text: '好', words, emotion: undefined });
      return Promise.resolve({ unrecognised: [], error: undefined });
    },
  });
  await expect.poll(callsLeft).toEqual([]);
  expect(asked).toEqual([parameters, parameters]);
  expect(books.sentences.map(({ words, webhooks }) => ({ words, webhooks }))).toEqual(
    Array(2).fill({ words: [], webhooks: ['crm'] }),
  );
  expect(books.calls[0]?.metadata['route']).toMatchObject({ webhooks: ['crm'] });
});

it('leaves the calls of living processes alone, and takes them when they die', async () => {
  const other = await claimIntake(dataDir);
  const living = await leave(other.owner);
  const dead = await leave();
  const told = nothing();
  start(new Books(), told);
  await expect.poll(callsLeft).toEqual([living.id]);
  expect(told.byes).toEqual([`sip-${dead.id}`]);

  await other.release();
  await expect.poll(callsLeft).toEqual([]);
  expect(told.outcomes).toEqual(['recovered', 'recovered']);
});

it('of several that look at the same time one recovers each call', async () => {
  for (let call = 0; call < 12; call += 1) await leave(`dead-${call % 3}`);
  const books = [new Books(), new Books(), new Books()];
  const told = nothing();
  for (const publisher of books) start(publisher, told);
  await expect.poll(callsLeft).toEqual([]);
  const ids = books.flatMap(({ calls }) => calls.map(({ id }) => id));
  expect(ids).toHaveLength(12);
  expect(new Set(ids).size).toBe(12);
});

it('asks a recogniser that fails again, then closes the call and says what is not recognised', async () => {
  await leave();
  const books = new Books();
  const told = nothing();
  let asked = 0;
  const error = new CallscribeError('ASR_STALLED', 'no result', { retryable: true });
  start(books, told, {
    recognise: ({ fromSample, toSample }) => {
      asked += 1;
      return Promise.resolve({ unrecognised: [{ fromSample, toSample }], error });
    },
  });
  await expect.poll(callsLeft, { timeout: 10_000 }).toEqual([]);
  expect(told.outcomes).toEqual(['failed', 'failed', 'failed', 'recovered']);
  // One leg in each attempt that failed, both in the last.
  expect(asked).toBe(5);
  expect(told.kept).toMatchObject([
    {
      lastEventNo: books.events.at(-1)?.eventNo,
      legs: [
        { legNo: 0, sentenceCount: 2, fromSample: 32_000 },
        { legNo: 1, sentenceCount: 0, fromSample: 0 },
      ],
    },
  ]);
  expect(books.calls).toMatchObject([{ legs: [{ sentenceCount: 2 }, { sentenceCount: 0 }] }]);
  expect(books.events.map(({ kind, detail }) => [kind, detail['beginMs'], detail['code']])).toEqual([
    ['asr_unrecognised', 4_000, 'ASR_STALLED'],
    ['asr_unrecognised', 0, 'ASR_STALLED'],
    ['recovered', undefined, undefined],
  ]);
});

it('a call that had ended keeps its reason; only its recording is made', async () => {
  const ended = { ...finishing(twoLegs(), [2, 0]), endReason: 'bye' as const };
  await leave('a-dead-process', ended);
  const books = new Books();
  const told = nothing();
  start(books, told);
  await expect.poll(callsLeft).toEqual([]);
  expect(told).toMatchObject({ outcomes: ['ended-before'], stretches: [] });
  expect(books.calls).toMatchObject([{ revision: ended.revision, endReason: 'bye' }]);
  expect(told.finished).toHaveLength(1);
});

it('what was recognised is not recognised again where only the recording fails', async () => {
  await leave();
  const books = new Books();
  const told = nothing();
  let failures = 0;
  start(books, told, {
    finishCall: () => {
      failures += 1;
      return failures < 3 ? Promise.reject(new Error('disk full')) : Promise.resolve();
    },
  });
  await expect.poll(callsLeft, { timeout: 10_000 }).toEqual([]);
  expect(told.outcomes).toEqual(['failed', 'failed', 'ended-before']);
  expect(told.stretches).toHaveLength(2);
  expect(new Set(books.calls.map(({ endReason }) => endReason))).toEqual(new Set(['recovered']));
});
