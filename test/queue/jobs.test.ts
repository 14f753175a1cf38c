import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import type { Job } from '../../src/queue/jobs.ts';
import { decodeJob, encodeJob, IDENTIFIER_MAX_CHARS } from '../../src/queue/jobs.ts';
import { aCall, anEvent, aSentence, finishing } from '../support/facts.ts';

const call = aCall();
const [leg] = call.legs;
const sentence = aSentence({ callId: call.id, legId: leg!.id, emoTag: 'happy', emoConfidence: 0.5 });
const event = anEvent({ callId: call.id, legId: leg!.id });

/** What a worker gets: BullMQ sends JSON text. */
const sent = (job: Job): unknown => JSON.parse(JSON.stringify(encodeJob(job).data));

const told = (webhooks: readonly string[]): Job => ({ name: 'sentence', payload: { ...sentence, webhooks } });

describe('a job', () => {
  it.each<[string, Job]>([
    ['a sentence', { name: 'sentence', payload: sentence }],
    ['a sentence without emotion', { name: 'sentence', payload: { ...sentence, emoTag: undefined } }],
    ['a sentence of which two endpoints are told', told(['crm', 'wfm'])],
    ['a sentence of which nobody is told', told([])],
    ['a call that goes on', { name: 'call', payload: call }],
    [
      'a call of a file without a codec',
      { name: 'call', payload: { ...call, legs: [{ ...leg!, codec: undefined }] } },
    ],
    ['a call that ends', { name: 'call', payload: finishing(call, [3, 0]) }],
    ['an event of a leg', { name: 'call-event', payload: event }],
    ['an event of the call', { name: 'call-event', payload: { ...event, legId: undefined } }],
  ])('is read as it was written: %s', (_, job) => {
    expect(decodeJob(job.name, sent(job))).toEqual(job);
  });

  it('of a publisher that knew no tenants is of the only one there was', () => {
    const { tenant: _, ...old } = sent({ name: 'sentence', payload: sentence }) as Record<string, unknown>;
    expect(decodeJob('sentence', old).payload).toMatchObject({ tenant: 'default' });
  });

  it('of a publisher that knew no names of endpoints is told to all', () => {
    const { webhooks: _, ...old } = sent(told(['crm'])) as Record<string, unknown>;
    expect(decodeJob('sentence', old).payload).toEqual(sentence);
  });

  it('has an id made from its fact, which BullMQ takes', () => {
    const ids = [
      encodeJob({ name: 'sentence', payload: { ...sentence, sentenceNo: 12 } }).id,
      encodeJob({ name: 'call', payload: { ...call, revision: 3 } }).id,
      encodeJob({ name: 'call-event', payload: { ...event, eventNo: 3 } }).id,
    ];
    expect(ids).toEqual([`${leg!.id}.12`, `${call.id}.3`, `${call.id}.event.3`]);
    for (const id of ids) {
      expect(id).not.toContain(':');
      // BullMQ takes an id for a bare integer when parseInt gives it back whole.
      expect(String(parseInt(id, 10))).not.toBe(id);
    }
  });

  it('carries times that fell between two milliseconds as whole ones', () => {
    const between = { ...sentence, beginMs: 1.4, endMs: 99.6 };
    expect(decodeJob('sentence', sent({ name: 'sentence', payload: between })).payload).toMatchObject({
      beginMs: 1,
      endMs: 100,
    });
  });

  it('cuts an identifier that no index entry could hold', () => {
    const long = { ...call, identifiers: [{ kind: 'x-'.repeat(600), value: '号'.repeat(5000) }] };
    const { identifiers } = decodeJob('call', sent({ name: 'call', payload: long })).payload as CallRecord;
    expect(identifiers.map(({ kind, value }) => [kind.length, value.length])).toEqual([
      [IDENTIFIER_MAX_CHARS, IDENTIFIER_MAX_CHARS],
    ]);
  });

  it.each<[string, string, unknown, string]>([
    ['no object', 'sentence', null, ': invalid_type'],
    [
      'a missing field',
      'sentence',
      { ...(sent({ name: 'sentence', payload: sentence }) as object), text: undefined },
      'text: invalid_type',
    ],
    [
      'an id that is none',
      'call-event',
      { ...(sent({ name: 'call-event', payload: event }) as object), callId: '138 0013 8000' },
      'callId: custom',
    ],
    [
      'a time that is none',
      'call-event',
      { ...(sent({ name: 'call-event', payload: event }) as object), at: 'yesterday' },
      'at: invalid_format',
    ],
    [
      'a number out of range',
      'sentence',
      { ...(sent({ name: 'sentence', payload: sentence }) as object), sentenceNo: 0 },
      'sentenceNo: too_small',
    ],
    [
      'an unknown state',
      'call',
      { ...(sent({ name: 'call', payload: call }) as object), state: 'complete' },
      'state: invalid_value',
    ],
    ['an unknown name', 'voicemail', {}, 'no job has this name'],
  ])('that is malformed is refused with the place and without the value: %s', (_, name, data, place) => {
    let failure: unknown;
    try {
      decodeJob(name, data);
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({ code: 'JOB_MALFORMED', retryable: false });
    const { message } = failure as Error;
    expect(message).toContain(place);
    expect(message).not.toMatch(/138 0013 8000|yesterday/);
  });

  it('never throws anything else, whatever comes', () => {
    fc.assert(
      fc.property(fc.constantFrom('sentence', 'call', 'call-event', ''), fc.jsonValue(), (name, data) => {
        try {
          decodeJob(name, data);
        } catch (error) {
          expect(error).toMatchObject({ code: 'JOB_MALFORMED' });
        }
      }),
    );
  });

  it('tolerates fields of a newer version', () => {
    const newer = { ...(sent({ name: 'call-event', payload: event }) as object), channel: 2 };
    expect(decodeJob('call-event', newer).payload).toEqual(event);
  });
});
