import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { figuresOf, type LegFacts, type SentenceFacts } from '../../src/figures/call-figures.ts';

const leg = (legNo: number, role: LegFacts['role'], over: Partial<LegFacts> = {}): LegFacts => ({
  legNo,
  role,
  startedAtMs: 0,
  endedAtMs: 60_000,
  heardMs: 60_000,
  unrecognisedMs: 0,
  concealedMs: 0,
  ...over,
});

const said = (
  legNo: number,
  beginMs: number,
  endMs: number,
  over: Partial<SentenceFacts> = {},
): SentenceFacts => ({
  legNo,
  beginMs,
  endMs,
  text: '您好。',
  words: 1,
  emoTag: null,
  emoConfidence: null,
  ...over,
});

const TWO = [leg(0, 'agent'), leg(1, 'customer')];

describe("a call's figures", () => {
  it('tell who spoke for how long, who was silent, and when both spoke', () => {
    const figures = figuresOf(TWO, [said(1, 9_000, 15_000), said(0, 1_000, 10_000), said(0, 40_000, 41_000)]);
    expect(figures).toMatchObject({
      spanMs: 60_000,
      agentTalkMs: 10_000,
      customerTalkMs: 6_000,
      otherTalkMs: 0,
      overlapMs: 1_000,
      silenceMs: 60_000 - 15_000,
      longestSilenceMs: 25_000,
      sentences: 3,
    });
  });

  it.each([
    ['takes the word', [said(0, 0, 5_000), said(1, 4_000, 8_000)], [0, 1]],
    ['says yes in between', [said(0, 0, 5_000), said(1, 2_000, 2_500)], [0, 0]],
    ['begins at the same time', [said(0, 0, 5_000), said(1, 299, 8_000)], [0, 0]],
    ['comes in at the very end', [said(0, 0, 5_000), said(1, 4_701, 8_000)], [0, 0]],
    ['is interrupted back', [said(0, 0, 5_000), said(1, 3_000, 8_000), said(0, 7_000, 9_000)], [1, 1]],
    ['begins after the end', [said(0, 0, 5_000), said(1, 5_000, 8_000)], [0, 0]],
  ])('count an interruption or not: one %s', (_, sentences, expected) => {
    expect(figuresOf(TWO, sentences).legs.map(({ interruptions }) => interruptions)).toEqual(expected);
  });

  it.each([
    ['with short pauses', [said(0, 0, 5_000), said(0, 8_000, 12_000)], 12_000],
    ['cut by a long pause', [said(0, 0, 5_000), said(0, 8_001, 12_000)], 5_000],
    ['cut by another', [said(0, 0, 5_000), said(1, 5_500, 6_000), said(0, 7_000, 9_000)], 5_000],
    ['not cut by a yes within', [said(0, 0, 5_000), said(1, 2_000, 2_500), said(0, 6_000, 9_000)], 9_000],
  ])('tell the longest monologue: %s', (_, sentences, expectedMs) => {
    expect(figuresOf(TWO, sentences).longestMonologueMs).toBe(expectedMs);
  });

  it('count characters without punctuation, and audio against recognised audio', () => {
    const legs = [leg(0, 'agent', { unrecognisedMs: 2_000, concealedMs: 40 }), leg(1, 'mixed')];
    const figures = figuresOf(legs, [
      said(0, 0, 500, { text: '您好，Anna 120！', words: 4 }),
      said(1, 600, 900),
    ]);
    expect(figures).toMatchObject({
      characters: 2 + 4 + 3 + 2,
      words: 5,
      heardMs: 120_000,
      recognisedMs: 118_000,
      concealedMs: 40,
      otherTalkMs: 300,
    });
  });

  it('tell how the mood went, by thirds of the call', () => {
    const mood = (beginMs: number, emoTag: string, emoConfidence: number | null = 1): SentenceFacts =>
      said(1, beginMs, beginMs + 1_000, { emoTag, emoConfidence });
    const moods = [
      mood(0, 'negative', 0.9),
      mood(5_000, 'neutral', 0.3),
      mood(59_000, 'positive'),
      mood(58_000, 'a new one'),
    ];
    expect(figuresOf(TWO, moods).legs[1]?.emotion).toEqual({
      positive: 1,
      neutral: 1,
      negative: 1,
      thirds: [-0.75, null, 1],
      trend: 1.75,
    });
    expect(figuresOf(TWO, moods).legs[0]?.emotion).toMatchObject({ thirds: [null, null, null], trend: null });
  });

  it('are all nought where nobody spoke, and where no audio came', () => {
    expect(figuresOf(TWO, [])).toMatchObject({ spanMs: 60_000, silenceMs: 60_000, longestMonologueMs: 0 });
    const mute = leg(0, 'unknown', { startedAtMs: undefined, heardMs: 0 });
    expect(figuresOf([mute], [])).toMatchObject({ spanMs: 0, silenceMs: 0, longestSilenceMs: 0, heardMs: 0 });
    expect(figuresOf([], [])).toMatchObject({ spanMs: 0, legs: [] });
  });

  it('add up for every call: speech and silence fill the span, in whatever order the sentences come', () => {
    const sentences = fc.array(
      fc.tuple(
        fc.integer({ min: 0, max: 1 }),
        fc.integer({ min: 0, max: 50_000 }),
        fc.integer({ min: 0, max: 9_000 }),
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(sentences, fc.integer(), (given, seed) => {
        const all = given.map(([legNo, beginMs, forMs]) => said(legNo, beginMs, beginMs + forMs));
        const figures = figuresOf(TWO, all);
        expect(figures.spanMs).toBe(60_000);
        // Counted millisecond by millisecond, the slow way.
        const speaking = [new Uint8Array(60_000), new Uint8Array(60_000)];
        for (const { legNo, beginMs, endMs } of all) speaking[legNo]!.fill(1, beginMs, endMs);
        const both = speaking[0]!.map((is, at) => is + speaking[1]![at]!);
        const count = (speakers: number): number =>
          both.reduce((sum, is) => sum + (is === speakers ? 1 : 0), 0);
        expect(figures.silenceMs).toBe(count(0));
        expect(figures.overlapMs).toBe(count(2));
        expect(figures.agentTalkMs + figures.customerTalkMs).toBe(count(1) + 2 * count(2));
        expect(figures.longestMonologueMs).toBeLessThanOrEqual(60_000);
        const distinct = new Set(all.map(({ legNo, beginMs }) => `${legNo} ${beginMs}`)).size === all.length;
        if (distinct) {
          const shuffled = all.toSorted(
            (one, other) => ((one.beginMs * 31 + seed) % 97) - ((other.beginMs * 31 + seed) % 97),
          );
          expect(figuresOf(TWO, shuffled)).toEqual(figures);
        }
      }),
      { seed: 5, numRuns: 60 },
    );
  });
});
