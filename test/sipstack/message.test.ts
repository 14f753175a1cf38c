import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CallscribeError } from '../../src/errors.ts';
import {
  byteString,
  formatSipMessage,
  header,
  headers,
  parseSipMessage,
  type SipMessage,
  utf8,
} from '../../src/sipstack/message.ts';

const text = (lines: readonly string[], body = ''): Buffer =>
  Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);

describe('parseSipMessage', () => {
  it('reads a request', () => {
    const read = parseSipMessage(text(['INVITE sip:a@b SIP/2.0', 'To: <sip:a@b>', 'l: 3'], 'abcdef'));
    expect(read).toEqual({
      kind: 'request',
      method: 'INVITE',
      uri: 'sip:a@b',
      headers: [
        { name: 'To', value: '<sip:a@b>' },
        { name: 'l', value: '3' },
      ],
      body: Buffer.from('abc'),
    });
  });

  it.each([
    ['SIP/2.0 200 OK', { status: 200, reason: 'OK' }],
    ['SIP/2.0 606 ', { status: 606, reason: '' }],
    ['SIP/2.0 404', { status: 404, reason: '' }],
    ['sip/2.0 180 It is ringing', { status: 180, reason: 'It is ringing' }],
  ])('reads the status line %s', (line, expected) => {
    expect(parseSipMessage(text([line]))).toMatchObject({ kind: 'response', ...expected });
  });

  it('finds headers by their full name in any spelling', () => {
    const read = parseSipMessage(
      text(['OPTIONS sip:a SIP/2.0', 'v: one', 'VIA: two', 'Via : three', 'i: id', 'X-Y: z']),
    );
    expect(headers(read, 'via')).toEqual(['one', 'two', 'three']);
    expect(header(read, 'call-id')).toBe('id');
    expect(header(read, 'x-y')).toBe('z');
    expect(header(read, 'from')).toBeUndefined();
  });

  it('joins folded lines (RFC 3261 §7.3.1) and skips empty lines in front', () => {
    const read = parseSipMessage(
      Buffer.from('\r\n\r\nOPTIONS sip:a SIP/2.0\r\nSubject: one\r\n\ttwo\r\n\r\n'),
    );
    expect(header(read, 'subject')).toBe('one two');
  });

  it('keeps every byte of headers and body', () => {
    const gb18030 = Buffer.from([0xd5, 0xc5, 0xc8, 0xfd]);
    const raw = Buffer.concat([
      Buffer.from('MESSAGE sip:a SIP/2.0\r\nFrom: "'),
      gb18030,
      Buffer.from('" <sip:a@b>\r\nContent-Length: 2\r\n\r\n'),
      Buffer.from([0xff, 0x00]),
    ]);
    expect(formatSipMessage(parseSipMessage(raw))).toEqual(raw);
    const read = parseSipMessage(text(['OPTIONS sip:a SIP/2.0', 'Subject: 投诉']));
    expect(utf8(header(read, 'subject')!)).toBe('投诉');
    expect(byteString('投诉')).toBe(header(read, 'subject'));
  });

  it.each([
    ['no empty line', 'OPTIONS sip:a SIP/2.0\r\nTo: x\r\n', 'frame'],
    ['a line without a name', 'OPTIONS sip:a SIP/2.0\r\nGarbage\r\n\r\n', 'frame'],
    ['an empty name', 'OPTIONS sip:a SIP/2.0\r\n: x\r\n\r\n', 'frame'],
    ['a folded line with nothing before it', 'OPTIONS sip:a SIP/2.0\r\n x\r\n\r\n', 'frame'],
    ['too little body', 'OPTIONS sip:a SIP/2.0\r\nl: 5\r\n\r\nabc', 'frame'],
    ['a length that is no number', 'OPTIONS sip:a SIP/2.0\r\nl: x\r\n\r\nabc', 'frame'],
    ['another version', 'OPTIONS sip:a SIP/7.0\r\n\r\n', 'version'],
  ])('returns a message with %s, and says so', (_, raw, defect) => {
    expect(parseSipMessage(Buffer.from(raw))).toMatchObject({ kind: 'request', defect });
  });

  it.each([
    '',
    '\r\n\r\n',
    'hello world\r\n\r\n',
    'SIP/2.0 099 No\r\n\r\n',
    'SIP/2.0 700 No\r\n\r\n',
    'A b c SIP/2.0',
  ])('throws where there is nothing to answer: %j', (raw) => {
    expect(() => parseSipMessage(Buffer.from(raw))).toThrow(CallscribeError);
  });

  it('takes everything after the headers as body where that is asked', () => {
    const raw = text(['SIP/2.0 200 OK', 'Content-Length: 1'], 'größe');
    expect(parseSipMessage(raw, { body: 'rest' }).body.toString()).toBe('größe');
  });

  it('never throws anything else, whatever comes', () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom('Via: x', 'l: 3', ' folded', 'INVITE sip:a SIP/2.0', ''),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        try {
          parseSipMessage(Buffer.from(lines.join('\r\n')));
        } catch (error) {
          expect(error).toBeInstanceOf(CallscribeError);
        }
      }),
    );
  });
});

describe('formatSipMessage', () => {
  const message: SipMessage = {
    kind: 'response',
    status: 200,
    reason: 'OK',
    headers: [{ name: 'To', value: 'x' }],
    body: Buffer.from('坐席'),
  };

  it('adds the length in bytes', () => {
    expect(formatSipMessage(message).toString()).toBe(
      'SIP/2.0 200 OK\r\nTo: x\r\nContent-Length: 6\r\n\r\n坐席',
    );
  });

  it('puts the true length in the place of a false one, once', () => {
    const headers = [
      { name: 'l', value: '99' },
      { name: 'Content-Length', value: '1' },
    ];
    expect(formatSipMessage({ ...message, headers }).toString()).toBe('SIP/2.0 200 OK\r\nl: 6\r\n\r\n坐席');
  });
});
