import { describe, expect, it } from 'vitest';

import { newCallId } from '../../src/ids.ts';
import { composeMail, type MailFacts } from '../../src/mail/compose.ts';

const callId = newCallId();
const facts: MailFacts = {
  mailId: '7',
  from: 'Voicemail <voicemail@pbx.example.com>',
  recipient: 'anna@example.com',
  voicemail: {
    callId,
    tenant: 'default',
    mailbox: '1001',
    caller: '13800138000',
    callerName: 'Li Wei',
    beginMs: 3_000,
    endMs: 75_400,
    beganAt: new Date('2026-11-23T08:00:03.000Z'),
    endReason: 'hangup',
    content: 'message',
    text: '您好，请回电。',
    recorded: true,
  },
  sound: { kind: 'wav', wav: Buffer.from('RIFF') },
};
const told = (voicemail: Partial<MailFacts['voicemail']>): ReturnType<typeof composeMail> =>
  composeMail({ ...facts, voicemail: { ...facts.voicemail, ...voicemail } });

describe('an e-mail about a message', () => {
  it('tells who called, when, and what was said; its subject not the last', () => {
    const mail = composeMail(facts);
    expect(mail.subject).toBe('Voicemail from Li Wei (13800138000) for 1001 (1:12)');
    expect(mail.text).toContain('At:      2026-11-23T08:00:03.000Z');
    expect(mail.text).toContain('您好，请回电。');
    expect(mail.attachments).toEqual([
      { filename: `voicemail-${callId}.wav`, content: Buffer.from('RIFF'), contentType: 'audio/wav' },
    ]);
    expect(mail.messageId).toBe(`<voicemail-${callId}-7@pbx.example.com>`);
    expect(composeMail({ ...facts, from: 'vm@example.com' }).messageId).toMatch(/@example\.com>$/);
  });

  it.each([
    [null, null, 'unknown'],
    ['1002', null, '1002'],
    ['1002', '1002', '1002'],
    [null, 'Anna', 'Anna'],
    ['1002', 'Anna\r\nBcc: all@example.com', 'Anna Bcc: all@example.com (1002)'],
    ['10\u202e02', 'A\u0000n\u2028na\ud800', 'A n na (10 02)'],
    ['1', 'x'.repeat(500), `${'x'.repeat(60)} (1)`],
  ])('has a caller of one line, whatever came by SIP: %j, %j', (caller, callerName, shown) => {
    expect(told({ caller, callerName }).subject).toBe(`Voicemail from ${shown} for 1001 (1:12)`);
  });

  it.each(['none', 'elsewhere', 'large'] as const)('says so where there is no sound to it: %s', (kind) => {
    const { attachments, text } = composeMail({ ...facts, sound: { kind } });
    expect(attachments).toEqual([]);
    expect(text).toMatch(/\(.*recording.*\)\n$/);
  });

  it('says so where nothing was recognised, or the end is missing', () => {
    expect(told({ text: '' }).text).toContain('(No words were recognised.)');
    expect(told({ endReason: 'lost' }).text).toContain('cut off');
  });
});
