import { describe, expect, it } from 'vitest';

import type { AsrEvent } from '../../src/asr/session.ts';
import { newCallId, newLegId } from '../../src/ids.ts';
import { TranscriptAssembler } from '../../src/transcript/assembler.ts';

const STARTED_AT = new Date('2026-11-22T08:00:00.000Z');

function assembler(correctionMs = (_legMs: number): number => 0): TranscriptAssembler {
  const callId = newCallId();
  return new TranscriptAssembler({
    callId,
    legId: newLegId(callId),
    tenant: 'acme',
    webhooks: ['crm'],
    legNo: 1,
    startedAt: STARTED_AT,
    concealedMs: (beginMs, endMs) => (beginMs === 640 && endMs === 2980 ? 40 : 0),
    correctionMs,
  });
}

const partial = (text: string): AsrEvent => ({ kind: 'partial', taskId: 't', beginMs: 640, text });
const final = (text: string): AsrEvent => ({
  kind: 'final',
  taskId: 't',
  beginMs: 640,
  endMs: 2980,
  text,
  words: [{ text: '您好', beginMs: 640, endMs: 980, punctuation: '，' }],
  emotion: { tag: 'neutral', confidence: 0.9 },
});

describe('TranscriptAssembler', () => {
  it('numbers final sentences from 1 without a gap; partials carry the number to come', () => {
    const leg = assembler();
    const numbers = [partial('您'), partial('您好'), final('您好，'), partial('我'), final('我想')].map(
      (event) => leg.accept(event)?.sentence.sentenceNo,
    );
    expect(numbers).toEqual([1, 1, 1, 2, 2]);
    expect(leg.sentenceCount).toBe(2);
  });

  it('puts a sentence on the leg’s clock and on the wall clock', () => {
    const event = assembler().accept(final('您好，'));
    expect(event).toMatchObject({
      kind: 'final',
      sentence: {
        tenant: 'acme',
        webhooks: ['crm'],
        legNo: 1,
        beginMs: 640,
        endMs: 2980,
        beginAt: new Date('2026-11-22T08:00:00.640Z'),
        endAt: new Date('2026-11-22T08:00:02.980Z'),
        words: [{ text: '您好', begin_ms: 640, end_ms: 980, punctuation: '，' }],
        emoTag: 'neutral',
        emoConfidence: 0.9,
        asrTaskId: 't',
        concealedMs: 40,
      },
    });
  });

  it('gives no number to what has no text', () => {
    const leg = assembler();
    expect(leg.accept({ kind: 'started', taskId: 't' })).toBeUndefined();
    expect(leg.accept(partial(''))).toBeUndefined();
    expect(leg.accept(final(''))).toBeUndefined();
    expect(leg.accept(final('好。'))?.sentence.sentenceNo).toBe(1);
  });

  it('corrects the wall times by the drift of the sender’s clock, and the leg’s own times never', () => {
    const event = assembler((legMs) => -legMs / 100).accept(final('您好，您的话费余额是五十元。'));
    expect(event?.sentence).toMatchObject({
      beginMs: 640,
      endMs: 2980,
      beginAt: new Date(STARTED_AT.getTime() + 634),
      endAt: new Date(STARTED_AT.getTime() + 2950),
    });
  });
});
