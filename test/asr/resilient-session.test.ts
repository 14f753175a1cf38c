import { afterEach, describe, expect, it } from 'vitest';

import { type DashscopeTaskOptions, dashscopeTasks } from '../../src/asr/dashscope-tasks.ts';
import { MemoryAudio } from '../../src/asr/memory-audio.ts';
import { recogniseStretch } from '../../src/asr/recognise-stretch.ts';
import { RecogniserHealth } from '../../src/asr/recogniser-health.ts';
import { RESILIENCE, type ResiliencePolicy } from '../../src/asr/resilience-policy.ts';
import { ResilientSession, type ResilientSessionServices } from '../../src/asr/resilient-session.ts';
import type { AsrEvent, AsrSession } from '../../src/asr/session.ts';
import { systemClock } from '../../src/clock.ts';
import { createLogger, silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import type { RefusalFault, TaskFaults } from '../../src/sandbox/faults.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts';
import { seededRandom } from '../../src/seeded-random.ts';
import { chunksOf, type MadeSentence, makeCodes, toPcmBuffer } from '../support/captioned-audio.ts';

const TEXTS = [
  '您好，请问有什么可以帮您？',
  '我想查一下上个月的话费。',
  '好的，请稍等一下。',
  '谢谢，再见。',
];
/** Four sentences with a pause after each, 12 s in whole. */
const SENTENCES: readonly MadeSentence[] = TEXTS.map((text, no) => ({
  beginMs: 500 + no * 3_000,
  endMs: 2_300 + no * 3_000,
  text,
}));
const SPEECH = chunksOf(toPcmBuffer('PCMA', makeCodes('PCMA', 12_000, SENTENCES)));

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each[Symbol.asyncDispose]();
});

async function sandboxWith(options: Partial<SandboxOptions> = {}): Promise<Sandbox> {
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
    ...options,
  });
  running.push(sandbox);
  return sandbox;
}

interface Setup {
  readonly policy?: Partial<ResiliencePolicy>;
  readonly task?: Partial<DashscopeTaskOptions>;
  readonly services?: Partial<ResilientSessionServices>;
}

function servicesFor(url: string, { policy, task, services }: Setup = {}): ResilientSessionServices {
  return {
    startTask: dashscopeTasks({ url, apiKey: 'sk-test-secret', logger: silentLogger, ...task }),
    health: new RecogniserHealth({ logger: silentLogger, probeMs: 20 }),
    policy: { ...RESILIENCE, retry: { soonMs: 5, slowMs: 10, maxMs: 50 }, catchUpRate: 200, ...policy },
    clock: systemClock,
    random: seededRandom(1),
    logger: silentLogger,
    ...services,
  };
}

const open = (services: ResilientSessionServices): AsrSession =>
  ResilientSession.open(services, { model: 'paraformer-realtime-8k-v2', vocabularyId: undefined });

interface Outcome {
  readonly events: AsrEvent[];
  readonly finals: Extract<AsrEvent, { kind: 'final' }>[];
  readonly error: unknown;
}

async function read(session: AsrSession, onEvent?: (event: AsrEvent) => void): Promise<Outcome> {
  const events: AsrEvent[] = [];
  let error: unknown;
  try {
    for await (const event of session) {
      events.push(event);
      onEvent?.(event);
    }
  } catch (thrown) {
    error = thrown;
  }
  return { events, finals: events.filter((event) => event.kind === 'final'), error };
}

/** Pushes faster than real time, in pieces between which the network has its turns, then asks for the end. */
async function recognise(session: AsrSession, chunks: readonly Buffer[] = SPEECH): Promise<Outcome> {
  const reading = read(session);
  for (const chunk of chunks) {
    session.push(chunk);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await session.finish();
  return reading;
}

const spoken = SENTENCES.map(({ beginMs, endMs, text }) => ({ beginMs, endMs, text }));
const heard = ({ finals }: Outcome): unknown =>
  finals.map(({ beginMs, endMs, text }) => ({ beginMs, endMs, text }));

/** Faults of the n-th task, from 1. */
const only =
  (taskNo: number, faults: TaskFaults) =>
  (_task: unknown, no: number): TaskFaults | undefined =>
    no === taskNo ? faults : undefined;

describe('a session whose task is lost', () => {
  it.each<[string, TaskFaults]>([
    ['before it starts', { failStart: { code: 'Throttling.RateQuota', message: '' } }],
    ['right after it started', { closeAtFrame: { frame: 0, closeCode: 1006 } }],
    ['in the first sentence', { closeAtFrame: { frame: 12, closeCode: 1006 } }],
    ['in the pause after it', { closeAtFrame: { frame: 28, closeCode: 1011 } }],
    ['in the middle of the second', { closeAtFrame: { frame: 45, closeCode: 1000 } }],
    ['by a failure that passes', { failAtFrame: { frame: 45, code: 'InternalError', message: '' } }],
    ['by silence of ours', { failAtFrame: { frame: 45, code: 'CLIENT_ERROR', message: '' } }],
    ['as it gives a partial', { timed: [{ moment: { at: 'result', no: 9 }, action: cut() }] }],
    ['as it gives a final', { timed: [{ moment: { at: 'result', no: 8 }, action: cut() }] }],
    ['instead of its last words', { failFinish: { code: 'InternalError', message: '' } }],
    ['after its results came late', { lateResultsMs: 60, closeAtFrame: { frame: 60, closeCode: 1006 } }],
    ['and its finals came twice', { doubleFinals: true, closeAtFrame: { frame: 70, closeCode: 1006 } }],
    ['and its finals had no end', { results: 'end-null', closeAtFrame: { frame: 70, closeCode: 1006 } }],
    ['and its finals had no words', { results: 'bare', closeAtFrame: { frame: 70, closeCode: 1006 } }],
  ])('%s gives every sentence once, at its place', async (_case, faults) => {
    const { url } = await sandboxWith({ faults: only(1, faults) });
    const outcome = await recognise(open(servicesFor(url)));
    expect(outcome.error).toBeUndefined();
    expect(heard(outcome)).toEqual(spoken);
    expect(outcome.events.filter(({ kind }) => kind === 'reconnected')).toMatchObject([{ attempt: 1 }]);
  });

  it('again and again gives every sentence once, at its place', async () => {
    const { url } = await sandboxWith({
      faults: (_task, no) => (no < 12 ? { closeAtFrame: { frame: 3 * no, closeCode: 1006 } } : undefined),
    });
    const outcome = await recognise(open(servicesFor(url)));
    expect(outcome.error).toBeUndefined();
    expect(heard(outcome)).toEqual(spoken);
  });

  it('says what ended it, how long nothing was recognised, and how much is sent again', async () => {
    const { url } = await sandboxWith({ faults: only(1, { closeAtFrame: { frame: 45, closeCode: 1006 } }) });
    const { events } = await recognise(open(servicesFor(url)));
    const [reconnected] = events.filter((event) => event.kind === 'reconnected');
    expect(reconnected).toMatchObject({ code: 'ASR_CONNECTION_LOST', attempt: 1 });
    expect(reconnected?.gapMs).toBeGreaterThan(0);
    // From the end of the first sentence, at 2.3 s, to at least the 45th chunk of 100 ms.
    expect(reconnected?.replayedMs).toBeGreaterThanOrEqual(2_200);
  });
});

function cut(): { kind: 'close'; closeCode: 'none'; reason: string } {
  return { kind: 'close', closeCode: 'none', reason: '' };
}

describe('a task that stalls', () => {
  it.each<[string, TaskFaults]>([
    ['reads no more', { stopReadingAtFrame: 30 }],
    ['gives its results too late', { lateResultsMs: 60_000 }],
  ])('%s: another takes over', async (_case, faults) => {
    const { url } = await sandboxWith({ faults: only(1, faults) });
    const session = open(servicesFor(url, { policy: { stallAfterMs: 700 } }));
    const reading = read(session);
    for (const chunk of SPEECH) {
      session.push(chunk);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    await session.finish();
    const outcome = await reading;
    expect(heard(outcome)).toEqual(spoken);
    expect(outcome.events).toContainEqual(
      expect.objectContaining({ kind: 'reconnected', code: 'ASR_STALLED' }),
    );
  });

  it('is none where nobody speaks', async () => {
    const sandbox = await sandboxWith();
    const session = open(servicesFor(sandbox.url, { policy: { stallAfterMs: 200 } }));
    const outcome = await recognise(session, chunksOf(Buffer.alloc(16_000 * 20)));
    expect(outcome.error).toBeUndefined();
    expect(outcome.events.map(({ kind }) => kind)).toEqual(['started']);
  });
});

describe('a recogniser that refuses', () => {
  it('for the time being is asked again, and says nothing to the operator', async () => {
    const { url } = await sandboxWith({
      refuse: refusing(3, { status: 429, code: 'Throttling.RateQuota', message: '' }),
    });
    const services = servicesFor(url);
    const outcome = await recognise(open(services));
    expect(heard(outcome)).toEqual(spoken);
    expect(outcome.events).toContainEqual(expect.objectContaining({ kind: 'reconnected', attempt: 3 }));
    expect(services.health.standing).toBe(0);
  });

  it('for want of a key is one alarm for all legs, and the leg goes on when the key is right', async () => {
    const { url } = await sandboxWith({ apiKeys: ['sk-new'] });
    const lines: string[] = [];
    const logger = createLogger({
      level: 'fatal',
      format: 'json',
      destination: { write: (line: string) => void lines.push(line) },
    });
    let key = 'sk-old';
    const health = new RecogniserHealth({ logger, probeMs: 20 });
    const services = servicesFor(url, {
      task: { apiKey: () => Promise.resolve(key) },
      services: { health },
    });
    const sessions = [open(services), open(services), open(services)];
    const readings = sessions.map((session) => read(session));
    for (const [no, chunk] of SPEECH.entries()) {
      for (const session of sessions) session.push(chunk);
      await new Promise((resolve) => setTimeout(resolve, 3));
      if (no === 60) {
        expect(health.standing).toBe(1);
        key = 'sk-new';
      }
    }
    // Each waits for a probe of its own turn at most.
    while (health.standing > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await Promise.all(sessions.map((session) => session.finish()));
    for (const outcome of await Promise.all(readings)) expect(heard(outcome)).toEqual(spoken);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('InvalidApiKey');
    expect(lines.join('')).not.toMatch(/sk-old|sk-new/);
  });

  it('an unknown vocabulary stands until the leg ends, whose audio is told as unrecognised', async () => {
    const { url } = await sandboxWith();
    const services = servicesFor(url);
    const session = ResilientSession.open(services, {
      model: 'paraformer-realtime-8k-v2',
      vocabularyId: 'vocab-nowhere',
    });
    const outcome = await recognise(session);
    expect(services.health.standing).toBe(1);
    expect(outcome.error).toMatchObject({ dashscopeCode: 'BadRequest.ResourceNotExist' });
    expect(outcome.events).toEqual([
      { kind: 'unrecognised', fromSample: 0, toSample: 96_000, code: 'ASR_TASK_FAILED' },
    ]);
  });

  it('the same audio again and again costs that audio only', async () => {
    const { url } = await sandboxWith({
      faults: (_task, no) =>
        no <= 3 ? { failAtFrame: { frame: 20, code: 'DataInspectionFailed', message: '' } } : undefined,
    });
    const outcome = await recognise(open(servicesFor(url)));
    expect(outcome.error).toBeUndefined();
    const lost = outcome.events.filter((event) => event.kind === 'unrecognised');
    expect(lost).toMatchObject([{ fromSample: 0 }]);
    const lostMs = (lost[0]?.toSample ?? 0) / 8;
    const after = spoken.filter(({ beginMs }) => beginMs >= lostMs);
    expect(after.length).toBeGreaterThan(0);
    expect(heard(outcome)).toEqual(expect.arrayContaining(after));
  });
});

describe('a recogniser that is away', () => {
  it('for too long postpones the leg, which goes on all the same when it is back', async () => {
    let away = true;
    const { url } = await sandboxWith({
      refuse: () => (away ? { status: 503, code: 'ServiceUnavailable', message: '' } : undefined),
    });
    const session = open(servicesFor(url, { policy: { postponeAfterMs: 30, postponedRetryMs: 20 } }));
    const reading = read(session, (event) => {
      if (event.kind === 'postponed') away = false;
    });
    for (const chunk of SPEECH) {
      session.push(chunk);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await session.finish();
    const outcome = await reading;
    expect(outcome.events[0]).toEqual({ kind: 'postponed', fromMs: 0, code: 'ASR_HANDSHAKE_REFUSED' });
    expect(heard(outcome)).toEqual(spoken);
  });

  it('till the end and beyond the bound leaves what is not recognised, with the reason', async () => {
    const { url } = await sandboxWith({
      faults: only(1, { closeAtFrame: { frame: 60, closeCode: 1006 } }),
      refuse: (no) => (no > 1 ? { status: 503, code: 'ServiceUnavailable', message: '' } : undefined),
    });
    const session = open(servicesFor(url, { policy: { afterCallMs: -11_900 } }));
    const outcome = await recognise(session);
    const [last] = outcome.finals.slice(-1);
    expect(outcome.error).toMatchObject({ code: 'ASR_HANDSHAKE_REFUSED' });
    expect(outcome.events.at(-1)).toMatchObject({ kind: 'unrecognised', toSample: 96_000 });
    expect(heard(outcome)).toEqual(spoken.slice(0, outcome.finals.length));
    // Ten milliseconds of what is known are read again, lest one of what is not be missing.
    expect(outcome.events.at(-1)).toMatchObject({ fromSample: (last?.endMs ?? 0) * 8 - 80 });
  });
});

describe('a task that gets old', () => {
  it('is followed by another at the next pause, and nothing is heard twice', async () => {
    const sandbox = await sandboxWith();
    const outcome = await recognise(open(servicesFor(sandbox.url, { policy: { renewAfterMs: 40 } })));
    expect(heard(outcome)).toEqual(spoken);
    expect(outcome.events.some(({ kind }) => kind === 'reconnected')).toBe(false);
    expect(sandbox.counters.tasksStarted).toBeGreaterThan(1);
  });
});

describe('a sentence that is to end', () => {
  /** Two stretches of speech 300 ms apart, which are one sentence to the recogniser. */
  const NEAR = chunksOf(
    toPcmBuffer(
      'PCMA',
      makeCodes('PCMA', 4_000, [
        { beginMs: 500, endMs: 1_500, text: undefined },
        { beginMs: 1_800, endMs: 2_800, text: undefined },
      ]),
    ),
  );
  const CUT_CHUNK = 17;

  const timesOf = ({ finals }: Outcome): (readonly [number, number])[] =>
    finals.map(({ beginMs, endMs }) => [Math.round(beginMs / 100), Math.round(endMs / 100)]);

  it('does not end by itself, so that what follows can be seen', async () => {
    const { url } = await sandboxWith();
    expect(timesOf(await recognise(open(servicesFor(url)), NEAR))).toEqual([[5, 28]]);
  });

  it.each<[string, TaskFaults | undefined]>([
    ['while all goes well', undefined],
    ['while its task is lost in it', { closeAtFrame: { frame: 12, closeCode: 1006 } }],
    ['while its task is lost behind it', { closeAtFrame: { frame: 16, closeCode: 1006 } }],
    ['instead of its last words', { failFinish: { code: 'InternalError', message: '' } }],
  ])('ends there and nowhere else, %s', async (_name, faults) => {
    const { url } = await sandboxWith({ faults: (_task, no) => (no === 1 ? faults : undefined) });
    const session = open(servicesFor(url));
    const reading = read(session);
    for (const [no, chunk] of NEAR.entries()) {
      session.push(chunk);
      if (no + 1 === CUT_CHUNK) session.endSentence();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await session.finish();
    const outcome = await reading;
    expect(outcome.error).toBeUndefined();
    expect(timesOf(outcome)).toEqual([
      [5, 15],
      [18, 28],
    ]);
  });

  it('ends there too when the audio is recognised later', async () => {
    const { url } = await sandboxWith();
    const audio = new MemoryAudio(40_000);
    for (const chunk of NEAR) audio.append(chunk);
    const times: number[][] = [];
    await recogniseStretch(servicesFor(url), {
      model: 'paraformer-realtime-8k-v2',
      vocabularyId: undefined,
      source: audio,
      fromSample: 0,
      toSample: audio.endSample,
      cutSamples: [CUT_CHUNK * 800],
      onFinal: ({ beginMs, endMs }) => times.push([Math.round(beginMs / 100), Math.round(endMs / 100)]),
    });
    expect(times).toEqual([
      [5, 15],
      [18, 28],
    ]);
  });

  it('costs no task where nobody has spoken for a while', async () => {
    const { url } = await sandboxWith();
    const session = open(servicesFor(url));
    const reading = read(session);
    const quiet = Buffer.alloc(1_600);
    for (let i = 0; i < 30; i++) {
      session.push(quiet);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    session.endSentence();
    await session.finish();
    expect((await reading).events.filter(({ kind }) => kind === 'started')).toHaveLength(1);
  });
});

describe('audio that cannot be had again', () => {
  it('is told as unrecognised, and the leg goes on behind it', async () => {
    const { url } = await sandboxWith({ faults: only(1, { closeAtFrame: { frame: 55, closeCode: 1006 } }) });
    const memory = new MemoryAudio(32_000);
    const services = servicesFor(url, { policy: { retry: { soonMs: 200, slowMs: 200, maxMs: 200 } } });
    const session = ResilientSession.open(services, {
      model: 'paraformer-realtime-8k-v2',
      vocabularyId: undefined,
      source: memory,
    });
    const reading = read(session);
    for (const chunk of SPEECH) {
      memory.append(chunk);
      session.push(chunk);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await session.finish();
    const outcome = await reading;
    const [lost] = outcome.events.filter((event) => event.kind === 'unrecognised');
    expect(lost?.code).toBe('ASR_AUDIO_GONE');
    const whole = spoken.filter(
      ({ beginMs, endMs }) =>
        endMs * 8 <= (lost?.fromSample ?? 0) + 80 || beginMs * 8 >= (lost?.toSample ?? 0),
    );
    expect(whole.length).toBeGreaterThan(1);
    expect(heard(outcome)).toEqual(expect.arrayContaining(whole));
  });
});

describe('recogniseStretch', () => {
  const source = new MemoryAudio(1_000_000);
  for (const chunk of SPEECH) source.append(chunk);

  it('gives the finals of a stretch on the leg’s clock', async () => {
    const { url } = await sandboxWith({ faults: only(1, { closeAtFrame: { frame: 20, closeCode: 1006 } }) });
    const finals: unknown[] = [];
    const { unrecognised, error } = await recogniseStretch(servicesFor(url), {
      model: 'paraformer-realtime-8k-v2',
      vocabularyId: undefined,
      source,
      fromSample: 2_300 * 8,
      toSample: 9_000 * 8,
      onFinal: ({ beginMs, endMs, text }) => finals.push({ beginMs, endMs, text }),
    });
    expect({ unrecognised, error }).toEqual({ unrecognised: [], error: undefined });
    expect(finals).toEqual(spoken.slice(1, 3));
  });

  it('says what is left when there is no recogniser', async () => {
    const sandbox = await sandboxWith();
    await sandbox.close();
    const { unrecognised, error } = await recogniseStretch(
      servicesFor(sandbox.url, { policy: { afterCallMs: -1_900 } }),
      {
        model: 'paraformer-realtime-8k-v2',
        vocabularyId: undefined,
        source,
        fromSample: 0,
        toSample: 16_000,
        onFinal: () => undefined,
      },
    );
    expect(unrecognised).toEqual([{ fromSample: 0, toSample: 16_000 }]);
    expect(error).toMatchObject({ code: 'ASR_UNREACHABLE' });
  });
});

it('sends what was missed no faster than it was told', async () => {
  const { url } = await sandboxWith({ faults: only(1, { closeAtFrame: { frame: 1, closeCode: 1006 } }) });
  const session = open(servicesFor(url, { policy: { catchUpRate: 20 } }));
  const reading = read(session);
  for (const chunk of SPEECH) session.push(chunk);
  const beganMs = performance.now();
  await session.finish();
  expect(heard(await reading)).toEqual(spoken);
  // Twelve seconds of audio at twenty times real time; a timer may fire a millisecond early.
  expect(performance.now() - beganMs).toBeGreaterThanOrEqual(12_000 / 20 - 50);
});

/** The first `count` upgrades. */
function refusing(count: number, fault: RefusalFault): () => RefusalFault | undefined {
  let refused = 0;
  return () => ((refused += 1) <= count ? fault : undefined);
}
