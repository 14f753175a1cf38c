import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { MemoryAudio } from '../../src/asr/memory-audio.ts';
import { RecogniserHealth } from '../../src/asr/recogniser-health.ts';
import { RESILIENCE } from '../../src/asr/resilience-policy.ts';
import { ResilientSession } from '../../src/asr/resilient-session.ts';
import type { AsrEvent } from '../../src/asr/session.ts';
import { newCallId, newLegId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { seededRandom } from '../../src/seeded-random.ts';
import { TranscriptAssembler } from '../../src/transcript/assembler.ts';
import type { FinalSentence } from '../../src/transcript/sentence.ts';
import {
  FRAME_SAMPLES,
  ModelRecogniser,
  type SpokenSentence,
  type TaskPlan,
  toPcm,
} from './model-recogniser.ts';

/**
 * What a leg may go through: sentences with pauses, tasks that never start, are refused, are dropped at any moment of
 * their audio, fall silent, give their results late, twice, without an end, or lose their last words; a leg that ends
 * anywhere, also in the middle of a sentence.
 */
interface Story {
  readonly sentences: readonly SpokenSentence[];
  readonly durationMs: number;
  /** The n-th task follows the n-th plan; those after the last are good. */
  readonly plans: readonly TaskPlan[];
  readonly renewAfterMs: number;
  readonly seed: number;
}

const sentencePlan = fc.record({
  pauseMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 4_000 })),
  durationMs: fc.integer({ min: 60, max: 6_000 }),
});
const taskPlan: fc.Arbitrary<TaskPlan> = fc.record({
  startsAfterMs: fc.integer({ min: 0, max: 3_000 }),
  end: fc.oneof(
    { weight: 2, arbitrary: fc.constant({ kind: 'good' } as const) },
    { weight: 1, arbitrary: fc.constant({ kind: 'never-starts' } as const) },
    { weight: 1, arbitrary: fc.constant({ kind: 'throttled' } as const) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('dropped' as const),
        atMs: fc.integer({ min: 0, max: 20_000 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('silent' as const),
        atMs: fc.integer({ min: 0, max: 20_000 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('after-results' as const),
        results: fc.integer({ min: 1, max: 12 }),
      }),
    },
    { weight: 2, arbitrary: fc.constant({ kind: 'loses-last-words' } as const) },
  ),
  resultsLateMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 6_000 })),
  finalsTwice: fc.boolean(),
  finalsWithoutEnd: fc.oneof(
    { weight: 4, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
  hearsTail: fc.boolean(),
});
const story: fc.Arbitrary<Story> = fc
  .record({
    spoken: fc.array(sentencePlan, { maxLength: 12 }),
    tailMs: fc.integer({ min: 0, max: 2_000 }),
    plans: fc.array(taskPlan, { maxLength: 10 }),
    renewAfterMs: fc.constantFrom(3_000, 15_000, 3_600_000),
    seed: fc.integer({ min: 1, max: 1_000_000 }),
  })
  .map(({ spoken, tailMs, plans, renewAfterMs, seed }) => {
    let atMs = 0;
    const sentences = spoken.map(({ pauseMs, durationMs }, no) => {
      const beginMs = roundTo10(atMs + pauseMs);
      const endMs = roundTo10(beginMs + durationMs);
      atMs = endMs;
      return { beginMs, endMs, text: `sentence ${no + 1}` };
    });
    return { sentences, durationMs: roundTo100(atMs + tailMs + 100), plans, renewAfterMs, seed };
  });

const roundTo10 = (ms: number): number => Math.round(ms / 10) * 10;
const roundTo100 = (ms: number): number => Math.ceil(ms / 100) * 100;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const clock = { monotonicMs: () => performance.now(), wallTime: () => new Date(0) };

interface Told {
  readonly sentences: readonly FinalSentence[];
  readonly partialsBehind: number;
  readonly unrecognised: readonly AsrEvent[];
  readonly error: unknown;
  readonly tasks: number;
}

/** Lives through a story at the pace of the clock that the test owns. */
async function live({ sentences, durationMs, plans, renewAfterMs, seed }: Story): Promise<Told> {
  const recogniser = new ModelRecogniser(sentences, plans);
  const source = new MemoryAudio(10_000_000);
  const session = ResilientSession.open(
    {
      startTask: recogniser.startTask,
      health: new RecogniserHealth({ logger: silentLogger }),
      policy: { ...RESILIENCE, renewAfterMs },
      clock,
      random: seededRandom(seed),
      logger: silentLogger,
    },
    { model: 'paraformer-realtime-8k-v2', vocabularyId: undefined, source },
  );
  const callId = newCallId(new Date(0));
  const assembler = new TranscriptAssembler({
    callId,
    legId: newLegId(callId),
    tenant: 'default',
    webhooks: undefined,
    legNo: 0,
    startedAt: new Date(0),
    concealedMs: () => 0,
    correctionMs: () => 0,
  });
  const told: FinalSentence[] = [];
  const unrecognised: AsrEvent[] = [];
  let partialsBehind = 0;
  let error: unknown;
  const reading = (async () => {
    try {
      for await (const event of session) {
        if (event.kind === 'unrecognised') unrecognised.push(event);
        const transcript = assembler.accept(event);
        if (transcript?.kind === 'final') told.push(transcript.sentence);
        else if (transcript !== undefined && transcript.sentence.beginMs < (told.at(-1)?.endMs ?? 0)) {
          partialsBehind += 1;
        }
      }
    } catch (thrown) {
      error = thrown;
    }
  })();
  for (let atMs = 0; atMs < durationMs; atMs += 100) {
    await vi.advanceTimersByTimeAsync(100);
    const pcm = toPcm(sentences, atMs * 8, 10 * FRAME_SAMPLES);
    source.append(pcm);
    session.push(pcm);
  }
  const finished = session.finish();
  const over = { is: false };
  void finished.then(() => (over.is = true));
  for (let waitedMs = 0; !over.is && waitedMs < 600_000; waitedMs += 250) {
    await vi.advanceTimersByTimeAsync(250);
  }
  await finished;
  await reading;
  expect(vi.getTimerCount()).toBe(0);
  return { sentences: told, partialsBehind, unrecognised, error, tasks: recogniser.tasks };
}

describe('through whatever its tasks do, a leg', { timeout: 120_000 }, () => {
  it('has every sentence once, in the order of speech, numbered from 1, at its time', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (given) => {
        const { sentences, partialsBehind, unrecognised, error } = await live(given);
        expect({ error, unrecognised, partialsBehind }).toEqual({
          error: undefined,
          unrecognised: [],
          partialsBehind: 0,
        });
        expect(sentences.map(({ text }) => text)).toEqual(given.sentences.map(({ text }) => text));
        expect(sentences.map(({ sentenceNo }) => sentenceNo)).toEqual(
          given.sentences.map((_, index) => index + 1),
        );
        expect(sentences.map(({ beginMs }) => beginMs)).toEqual(
          given.sentences.map(({ beginMs }) => beginMs),
        );
      }),
      { seed: 20261122, numRuns: Number(process.env['CALLSCRIBE_TEST_RUNS'] ?? 300) },
    );
  });
});
