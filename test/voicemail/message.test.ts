import { describe, expect, it } from 'vitest';

import { newCallId, newLegId } from '../../src/ids.ts';
import {
  type MessageFacts,
  messageOf,
  readVoicemailBegan,
  readVoicemailEnded,
} from '../../src/voicemail/message.ts';

const callId = newCallId();
const startedAt = new Date('2026-11-23T08:00:00.000Z');
const facts: MessageFacts = {
  callId,
  tenant: 'acme',
  recorded: true,
  leg: { id: newLegId(callId), uri: 'sip:1002@pbx.example.com', name: 'Anna', startedAt, heardMs: 9_100 },
  began: { mailbox: '1001', beginMs: 3_000, mailTo: [] },
  beganAt: new Date('2026-11-23T08:00:03.020Z'),
  ended: { endMs: 8_000, reason: 'key', content: 'message' },
  sentences: [],
};
const saying = (...texts: string[]): string =>
  messageOf({
    ...facts,
    sentences: texts.map((text, index) => ({
      beginMs: 3_000 + index * 100,
      endMs: 3_100 + index * 100,
      text,
    })),
  }).text;

describe('a message', () => {
  it('has its times on the clock of its leg', () => {
    expect(messageOf(facts)).toMatchObject({
      mailbox: '1001',
      caller: '1002',
      callerName: 'Anna',
      beginMs: 3_000,
      endMs: 8_000,
      beganAt: new Date('2026-11-23T08:00:03.000Z'),
      endedAt: new Date('2026-11-23T08:00:08.000Z'),
      endReason: 'key',
      content: 'message',
    });
  });

  it('goes on to the end of its leg where its process died', () => {
    const lost = messageOf({ ...facts, ended: undefined });
    expect(lost).toMatchObject({ endMs: 9_100, endReason: 'lost', content: 'message' });
    const silent = messageOf({ ...facts, ended: undefined, leg: { ...facts.leg, heardMs: 2_000 } });
    expect(silent).toMatchObject({ endMs: 3_000, content: 'empty' });
    const unknown = messageOf({
      ...facts,
      ended: undefined,
      leg: { ...facts.leg, heardMs: null },
      sentences: [{ beginMs: 3_500, endMs: 6_000, text: 'Hello.' }],
    });
    expect(unknown).toMatchObject({ endMs: 6_000, text: 'Hello.' });
  });

  it('takes the wall clock of the event where no packet came', () => {
    const { beganAt, endedAt } = messageOf({ ...facts, leg: { ...facts.leg, startedAt: null } });
    expect([beganAt, endedAt]).toEqual([facts.beganAt, new Date('2026-11-23T08:00:08.020Z')]);
  });

  it('says what is said between its begin and its end', () => {
    const sentences = [
      { beginMs: 0, endMs: 2_900, text: 'before' },
      { beginMs: 2_960, endMs: 3_500, text: 'first' },
      { beginMs: 7_900, endMs: 8_400, text: 'last' },
      { beginMs: 8_000, endMs: 8_400, text: 'after' },
    ];
    expect(messageOf({ ...facts, sentences }).text).toBe('first last');
  });

  it.each([
    [['Please call.', 'Thank you.'], 'Please call. Thank you.'],
    [['您好，', '请回电。', '谢谢'], '您好，请回电。谢谢'],
    [['Hello.', '您好。', 'Bye.'], 'Hello.您好。Bye.'],
    [[' a\nb ', '', 'c'], 'a b c'],
    [[], ''],
  ])('joins sentences as one reads them: %j', (texts, text) => {
    expect(saying(...texts)).toBe(text);
  });

  it.each([
    ['tel:+8613800138000', '+8613800138000'],
    ['sip:anonymous@anonymous.invalid', 'anonymous'],
    ['sip:@host', null],
    [null, null],
  ])('has the user of its caller: %s', (uri, caller) => {
    expect(messageOf({ ...facts, leg: { ...facts.leg, uri } }).caller).toBe(caller);
  });
});

it('what another version wrote is not read', () => {
  expect(readVoicemailBegan({ mailbox: '1', beginMs: 5, mailTo: ['a@example.com'], more: 1 })).toBeDefined();
  expect(readVoicemailBegan({ mailbox: '1', mailTo: [] })).toBeUndefined();
  expect(readVoicemailBegan(null)).toBeUndefined();
  expect(readVoicemailEnded({ endMs: 1, reason: 'lost', content: 'message' })).toBeUndefined();
  expect(readVoicemailEnded(null)).toBeUndefined();
});
