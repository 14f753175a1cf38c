import { afterEach, describe, expect, it } from 'vitest';

import { type DashscopeTaskOptions, dashscopeTasks } from '../../src/asr/dashscope-tasks.ts';
import { RecogniserHealth } from '../../src/asr/recogniser-health.ts';
import { RESILIENCE, type ResiliencePolicy } from '../../src/asr/resilience-policy.ts';
import { ResilientSession, type ResilientSessionServices } from '../../src/asr/resilient-session.ts';
import type { AsrEvent, AsrSession } from '../../src/asr/session.ts';
import { systemClock } from '../../src/clock.ts';
import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import type { TaskFaults } from '../../src/sandbox/faults.ts';
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
