import { expect, it } from 'vitest';

import { isMarkedDamaged } from '../../src/caption/placeholder.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import type { StoredCall, StoredLeg, StoredSentence } from '../../src/store/stored.ts';
import { placeCalls, type PlacedCall, type PlannedLeg } from '../support/place-calls.ts';
import { type SampleSlice, sampleSlices } from '../support/sample-slices.ts';
import { completedCalls, startTestService } from '../support/service.ts';

const CALLS = 20;
const IMPAIRMENTS = { lossRate: 0.02, reorderRate: 0.02, duplicateRate: 0.01 };
const PACKET_MS = 20;

/** Two sentences for each call, so that no two calls say the same on both legs. */
function slicesOf(
  callNo: number,
  agent: readonly SampleSlice[],
  customer: readonly SampleSlice[],
): SampleSlice[] {
  return [agent[callNo % agent.length]!, customer[callNo % customer.length]!];
}

function toLeg(slice: SampleSlice, legNo: number): PlannedLeg {
  const party = slice.sentence.party;
  return {
    codec: slice.codec,
    codesBase64: Buffer.from(slice.codes).toString('base64'),
    label: String(legNo + 1),
    party: { name: party, aor: `sip:${party}@pbx.example`, role: party },
  };
}

function wasHit(slice: SampleSlice, lostPackets: readonly number[]): boolean {
  return lostPackets.some(
    (packetNo) => packetNo * PACKET_MS < slice.endMs && (packetNo + 1) * PACKET_MS > slice.beginMs,
  );
}

function checkLeg(
  stored: { readonly leg: StoredLeg; readonly sentences: readonly StoredSentence[] },
  slice: SampleSlice,
  placed: PlacedCall,
): 'exact' | 'damaged' {
  const { leg, sentences } = stored;
  const sent = placed.report.legs[leg.legNo]!;
  if (sent.kind !== 'sent') throw new Error(`leg ${leg.legNo} was not sent`);
  const late = Number(leg.media?.['packetsLate']);
  expect(leg).toMatchObject({ role: slice.sentence.party, codec: slice.codec, sentenceCount: 1 });
  // A packet that a busy machine brings too late counts as lost and as late; the plan's losses are never fewer.
  expect(leg.media).toMatchObject({
    packetsReceived: sent.packetsSent,
    packetsLost: sent.lost + late,
    packetsDuplicate: sent.duplicated,
    packetsMalformed: 0,
    packetsForeign: 0,
    unrecognisedMs: 0,
  });
  expect(sentences).toHaveLength(1);
  const { text, beginMs, endMs } = sentences[0]!;
  const damaged = isMarkedDamaged(text);
  if (late === 0) {
    expect({ text, damaged }).toMatchObject({ damaged: wasHit(slice, placed.lostPackets[leg.legNo]!) });
  }
  if (damaged) {
    // Either the text is known, and then it is this leg's, or there is none at all.
    const known = text.slice(0, text.lastIndexOf(' ['));
    if (!text.startsWith('[speech')) expect(known).toBe(slice.sentence.text);
    return 'damaged';
  }
  expect(text).toBe(slice.sentence.text);
  expect(Math.abs(beginMs - slice.beginMs)).toBeLessThanOrEqual(60);
  expect(Math.abs(endMs - slice.endMs)).toBeLessThanOrEqual(60);
  return 'exact';
}

it(
  '20 SIPREC calls at once, 2 % loss, reordering and duplicates: 40 legs, none mixed up',
  { timeout: 90_000 },
  async () => {
    await using test = await startTestService({ queue: 'redis', redisDb: 1 });
    const [agent, customer] = [await sampleSlices('agent'), await sampleSlices('customer')];

    const { calls: placed } = await placeCalls({
      target: test.target('udp'),
      transport: 'udp',
      impairments: IMPAIRMENTS,
      calls: Array.from({ length: CALLS }, (_, callNo) => ({
        mode: 'siprec' as const,
        seed: 1000 + callNo,
        legs: slicesOf(callNo, agent, customer).map(toLeg),
      })),
    });
    expect(placed.map(({ report }) => report.outcome.kind)).toEqual(Array(CALLS).fill('completed'));

    const stored = new Map<string | null, StoredCall>();
    for (const call of await completedCalls(test.pool, CALLS)) stored.set(call.sipCallId, call);
    expect(stored.size).toBe(CALLS);

    const outcomes: string[] = [];
    for (const [callNo, one] of placed.entries()) {
      const call = stored.get(one.report.callId)!;
      expect(call).toMatchObject({ state: 'complete', endReason: 'bye', mapping: 'metadata' });
      const legs = await loadLegs(test.pool, call.id);
      const sentences = await loadTranscript(test.pool, call.id);
      expect(legs).toHaveLength(2);
      for (const [legNo, slice] of slicesOf(callNo, agent, customer).entries()) {
        const leg = legs[legNo]!;
        outcomes.push(
          checkLeg({ leg, sentences: sentences.filter(({ legId }) => legId === leg.id) }, slice, one),
        );
      }
    }
    expect(outcomes).toHaveLength(2 * CALLS);
    // The plan hits some sentences and spares others; a test in which either never happens tests half.
    expect(new Set(outcomes)).toEqual(new Set(['exact', 'damaged']));
  },
);
