import { expect, it } from 'vitest';

import type { Publisher } from '../../src/call/publisher.ts';
import type { CallRecord } from '../../src/call/record.ts';
import { systemClock } from '../../src/clock.ts';
import { decodeJob, encodeJob } from '../../src/queue/jobs.ts';
import { recogniseAgain } from '../../src/recovery/recognise-again.ts';
import type { FinalSentence } from '../../src/transcript/sentence.ts';
import { aCall, finishing } from '../support/facts.ts';

/** A call as it is read from disk. */
const kept = (call: CallRecord): CallRecord => {
  const { name, data } = encodeJob({ name: 'call', payload: call });
  return decodeJob(name, JSON.parse(JSON.stringify(data))).payload as CallRecord;
};

it.each([
  [
    'sets nothing of this',
    { rule: 'a', phraseId: undefined, keepsWords: true, webhooks: undefined },
    1,
    undefined,
  ],
  ['names an endpoint and keeps no words', { keepsWords: false, webhooks: ['crm'] }, 0, ['crm']],
  ['tells nobody', { rule: 'a', phraseId: undefined, parameters: undefined, webhooks: [] }, 1, []],
])(
  'sentences that come later are kept and told as the rule says: it %s',
  async (_, route, words, webhooks) => {
    const sentences: FinalSentence[] = [];
    const calls: CallRecord[] = [];
    const publisher: Publisher = {
      publishSentence: (sentence) => sentences.push(sentence),
      publishCall: (call) => calls.push(call),
      publishEvent: () => undefined,
      written: () => Promise.resolve('written'),
    };
    const record = kept({ ...finishing(aCall(), [0, 0]), metadata: { kind: 'plain', route } });
    const legs = [{ legNo: 0, sentenceCount: 0, fromSample: 0 }];
    await recogniseAgain(
      {
        publisher,
        clock: systemClock,
        openLeg: () =>
          Promise.resolve({
            startedAt: record.startedAt,
            source: { beginSample: 0, endSample: 16_000, read: () => Promise.resolve(Buffer.alloc(0)) },
            lostSamples: () => 0,
            cutSamples: [],
            [Symbol.asyncDispose]: () => Promise.resolve(),
          }),
        recognise: ({ onFinal }) => {
          const word = { text: '好', beginMs: 0, endMs: 100, punctuation: '' };
          const times = { beginMs: 0, endMs: 1_000 };
          onFinal({ kind: 'final', taskId: 't', ...times, text: '好', words: [word], emotion: undefined });
          return Promise.resolve({ unrecognised: [], error: undefined });
        },
      },
      { record, lastEventNo: 0, legs },
    );
    expect(sentences).toHaveLength(1);
    expect(sentences[0]?.words).toHaveLength(words);
    expect(sentences[0]?.webhooks).toEqual(webhooks);
    expect(calls[0]?.metadata).toEqual(record.metadata);
  },
);
