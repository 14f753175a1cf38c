import { describe, expect, it } from 'vitest';

import { ResumeGate, type ResumeVerdict } from '../../src/rtp/resume-gate.ts';

/** Opens at 1,000 ms and judges packets of 20 ms that come at the given times, to the first verdict. */
function judge(arrivalsMs: readonly number[], firstTimestamp = 0): ResumeVerdict {
  const gate = new ResumeGate();
  gate.open(firstTimestamp, 1_000);
  let verdict: ResumeVerdict = 'wait';
  for (const [i, arrivalMs] of arrivalsMs.entries()) {
    verdict = gate.judge((firstTimestamp + 160 * i) >>> 0, arrivalMs);
    if (verdict !== 'wait') break;
  }
  return verdict;
}

describe('ResumeGate', () => {
  it.each([
    ['waits while packets come in their own time', [1_000, 1_020, 1_040], 'wait'],
    ['takes their own time for 60 ms for a sender that stood still', [1_000, 1_020, 1_040, 1_060], 'stale'],
    ['takes a burst of 160 ms for a network that stood still', Array<number>(9).fill(1_005), 'late'],
    ['is not misled by a burst that our own delay may have made', Array<number>(8).fill(1_005), 'wait'],
  ] as const)('%s', (_, arrivalsMs, verdict) => {
    expect(judge(arrivalsMs)).toBe(verdict);
    expect(judge(arrivalsMs, 0xffff_ff00)).toBe(verdict);
  });

  it('decides by time alone when no other packet comes', () => {
    const gate = new ResumeGate();
    gate.open(0, 1_000);
    expect(gate.isWaiting).toBe(true);
    expect(gate.poll(1_059)).toBe('wait');
    expect(gate.poll(1_060)).toBe('stale');
    gate.close();
    expect(gate.isWaiting).toBe(false);
  });
});
