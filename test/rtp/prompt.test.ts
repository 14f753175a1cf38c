import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { decodeG711 } from '../../src/audio/g711.ts';
import { type Prompt, PromptQueue } from '../../src/rtp/prompt.ts';

const promptOf = (codes: Uint8Array): Prompt => ({ PCMU: codes, PCMA: codes.map((code) => code ^ 0x55) });

function takeAll(queue: PromptQueue, law: 'PCMU' | 'PCMA', takes: number, samples = 160): number[] {
  return Array.from({ length: takes }, () => {
    const target = new Uint8Array(samples);
    queue.take(law, target);
    return [...target];
  }).flat();
}

describe('PromptQueue', () => {
  it('gives the prompts one behind the other without a gap, whatever their lengths, then silence (seed 1)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 500 }), { maxLength: 16 }),
        fc.constantFrom('PCMU' as const, 'PCMA' as const),
        fc.integer({ min: 1, max: 200 }),
        async (prompts, law, samples) => {
          const queue = new PromptQueue();
          const outcomes = Promise.all(prompts.map((codes) => queue.add(promptOf(codes))));
          const expected = prompts.flatMap((codes) => [...promptOf(codes)[law]]);
          const takes = Math.ceil(expected.length / samples) + 1;
          const taken = takeAll(queue, law, takes, samples);
          expect(taken.slice(0, expected.length)).toEqual(expected);
          expect([...decodeG711(law, Uint8Array.from(taken.slice(expected.length)))].map(Math.abs)).toEqual(
            Array<number>(taken.length - expected.length).fill(law === 'PCMU' ? 0 : 8),
          );
          expect(await outcomes).toEqual(prompts.map(() => 'played'));
        },
      ),
      { seed: 1, numRuns: 100 },
    );
  });

  it('tells that a prompt was played with the take of its last sample, and not before', async () => {
    const queue = new PromptQueue();
    let outcome: string | undefined;
    const played = queue.add(promptOf(new Uint8Array(321))).then((told) => (outcome = told));
    takeAll(queue, 'PCMU', 2);
    await Promise.resolve();
    expect(outcome).toBeUndefined();
    takeAll(queue, 'PCMU', 1);
    await played;
    expect(outcome).toBe('played');
  });

  it('goes on in the other law where the law changes', () => {
    const queue = new PromptQueue();
    const codes = Uint8Array.from({ length: 320 }, (_, i) => i & 0xff);
    void queue.add(promptOf(codes));
    expect(takeAll(queue, 'PCMU', 1)).toEqual([...codes.subarray(0, 160)]);
    expect(takeAll(queue, 'PCMA', 1)).toEqual([...promptOf(codes).PCMA.subarray(160)]);
  });

  it('stops what is played and what waits, and goes on with what comes then from its begin', async () => {
    const queue = new PromptQueue();
    const [first, second] = [
      queue.add(promptOf(new Uint8Array(400))),
      queue.add(promptOf(new Uint8Array(1))),
    ];
    takeAll(queue, 'PCMU', 1);
    queue.clear();
    expect(await Promise.all([first, second])).toEqual(['stopped', 'stopped']);
    const codes = Uint8Array.from({ length: 160 }, (_, i) => i);
    const third = queue.add(promptOf(codes));
    expect(takeAll(queue, 'PCMU', 1)).toEqual([...codes]);
    expect(await third).toBe('played');
  });

  it('takes sixteen prompts at once and no more', async () => {
    const queue = new PromptQueue();
    const outcomes = Array.from({ length: 17 }, () => queue.add(promptOf(new Uint8Array(10))));
    expect(await outcomes[16]).toBe('stopped');
    takeAll(queue, 'PCMU', 1);
    expect(await Promise.all(outcomes.slice(0, 16))).toEqual(Array(16).fill('played'));
  });
});
