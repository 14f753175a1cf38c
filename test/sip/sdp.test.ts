import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CallscribeError } from '../../src/errors.ts';
import { isAcceptable, readOffer } from '../../src/sip/sdp.ts';
import { answerDirection, writeAnswer } from '../../src/sip/sdp-answer.ts';
import { agreeLine, OWN_LINE, widenLine, writeOffer } from '../../src/sip/sdp-offer.ts';
import { testKey } from '../support/srtp-stream.ts';

const SESSION = { sessionId: '7', version: 1, address: '192.0.2.1', side: 'listens' } as const;

function offer(...media: string[]): string {
  return ['v=0', 'o=- 1 1 IN IP4 198.51.100.7', 's=-', 'c=IN IP4 198.51.100.7', 't=0 0', ...media, ''].join(
    '\r\n',
  );
}

const SIPREC = offer(
  'm=audio 4000 RTP/AVP 8 0 101 13',
  'a=rtpmap:101 telephone-event/8000',
  'a=fmtp:101 0-16',
  'a=label:1',
  'a=sendonly',
  'm=video 4004 RTP/AVP 96',
  'a=rtpmap:96 H264/90000',
  'm=audio 4002 RTP/AVP 0',
  'a=label:b_leg',
  'a=sendonly',
  'a=rtcp-mux',
);

describe('readOffer', () => {
  it('reads payload types in the order of preference, events, comfort noise and labels', () => {
    const [first, second, third] = readOffer(SIPREC).lines;
    expect(first).toMatchObject({
      media: 'audio',
      port: 4000,
      direction: 'sendonly',
      label: '1',
      g711: [
        { payloadType: 8, law: 'PCMA' },
        { payloadType: 0, law: 'PCMU' },
      ],
      telephoneEvent: { payloadType: 101, events: '0-16' },
      comfortNoise: 13,
      address: '198.51.100.7',
    });
    expect(second?.media).toBe('video');
    expect(third).toMatchObject({ label: 'b_leg', rtcpMux: true });
  });

  it('knows dynamic payload types by their rtpmap and static ones that an rtpmap gave away', () => {
    const [line] = readOffer(
      offer('m=audio 4000 RTP/AVP 100 0', 'a=rtpmap:100 pcma/8000/1', 'a=rtpmap:0 opus/48000/2'),
    ).lines;
    expect(line?.g711).toEqual([{ payloadType: 100, law: 'PCMA' }]);
  });

  it('takes the session direction where the line has none, and sendrecv where neither has', () => {
    const withSession = `v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\na=inactive\r\nm=audio 1 RTP/AVP 0\r\n`;
    expect(readOffer(withSession).lines[0]?.direction).toBe('inactive');
    expect(readOffer(offer('m=audio 1 RTP/AVP 0')).lines[0]?.direction).toBe('sendrecv');
  });

  it.each([
    '',
    'garbage',
    'v=0\r\n',
    'm=audio\r\n',
    'v=0\r\nm=audio x RTP/AVP 0\r\n',
    'm=audio 1 RTP/AVP 0\r\n'.repeat(5000),
  ])('refuses what is no offer (%#)', (text) => {
    expect(() => readOffer(text)).toThrow(CallscribeError);
  });

  it('never fails in another way, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(fc.string(), fc.constantFrom('m=audio 1 RTP/AVP 0', 'a=rtpmap:', 'a=label:x', 'c=IN IP4')),
        ),
        (lines) => {
          try {
            const { lines: read } = readOffer(lines.join('\r\n'));
            writeAnswer({ lines: read }, [], SESSION);
          } catch (error) {
            expect(error).toBeInstanceOf(CallscribeError);
          }
        },
      ),
    );
  });
});

describe('writeAnswer', () => {
  const lines = readOffer(SIPREC);
  const answer = writeAnswer(
    lines,
    [
      { kind: 'accept', rtpPort: 20_000, rtcpPort: 20_001 },
      { kind: 'refuse' },
      { kind: 'accept', rtpPort: 20_002, rtcpPort: 20_003 },
    ],
    SESSION,
  );

  it('answers each m-line at its place, refused ones with port 0 and their own words (RFC 3264 §6)', () => {
    expect(answer.match(/^m=.*$/gm)).toEqual([
      'm=audio 20000 RTP/AVP 8 101 13',
      'm=video 0 RTP/AVP 96',
      'm=audio 20002 RTP/AVP 0',
    ]);
  });

  it('echoes labels and receives only', () => {
    expect(answer.match(/^a=label:.*$/gm)).toEqual(['a=label:1', 'a=label:b_leg']);
    expect(answer.match(/^a=recvonly$/gm)).toHaveLength(2);
    expect(answer).not.toMatch(/a=send/);
  });

  it('offers rtcp-mux only where it was offered (RFC 5761 §5.1.1), else names the RTCP port', () => {
    const [, first = '', , third = ''] = answer.split(/^m=/m);
    expect(first).toContain('a=rtcp:20001');
    expect(first).not.toContain('rtcp-mux');
    expect(third).toContain('a=rtcp-mux');
  });

  it('names the peer-facing address, IPv6 as such', () => {
    expect(answer).toContain('c=IN IP4 192.0.2.1');
    expect(writeAnswer(lines, [], { ...SESSION, address: '2001:db8::1' })).toContain('c=IN IP6 2001:db8::1');
  });

  it.each([
    ['listens', 'sendonly', 'recvonly'],
    ['listens', 'sendrecv', 'recvonly'],
    ['listens', 'recvonly', 'inactive'],
    ['listens', 'inactive', 'inactive'],
    ['speaks', 'sendonly', 'recvonly'],
    ['speaks', 'sendrecv', 'sendrecv'],
    ['speaks', 'recvonly', 'sendonly'],
    ['speaks', 'inactive', 'inactive'],
  ] as const)('who %s answers %s with %s', (side, offered, expected) => {
    expect(answerDirection(offered, side)).toBe(expected);
  });
});

describe('isAcceptable', () => {
  it.each([
    ['m=audio 4000 RTP/AVP 0', true],
    ['m=audio 4000 RTP/AVPF 8', true],
    ['m=audio 0 RTP/AVP 0', false],
    ['m=audio 4000 RTP/AVP 18', false],
    ['m=audio 4000 RTP/SAVP 0', false],
    ['m=video 4000 RTP/AVP 0', false],
  ])('%s: %s', (line, expected) => {
    const [read] = readOffer(offer(line)).lines;
    expect(read !== undefined && isAcceptable(read, 0)).toBe(expected);
  });
});

describe('lines over SRTP', () => {
  const inline = (n: number): string => `inline:${testKey(n).keyAndSalt.reveal().toString('base64')}`;
  const secure = (protocol: string, ...crypto: string[]): string =>
    offer(`m=audio 4000 ${protocol} 0`, ...crypto.map((line) => `a=crypto:${line}`));
  const S80 = 'AES_CM_128_HMAC_SHA1_80';

  it.each([
    ['RTP/SAVP with a key', secure('RTP/SAVP', `1 ${S80} ${inline(1)}`), true],
    ['RTP/SAVPF with a key', secure('RTP/SAVPF', `1 ${S80} ${inline(1)}`), true],
    ['RTP/SAVP without one', secure('RTP/SAVP'), false],
    ['RTP/SAVP with one that we cannot use', secure('RTP/SAVP', `1 AEAD_AES_256_GCM ${inline(1)}`), false],
    ['RTP/SAVP without encryption', secure('RTP/SAVP', `1 ${S80} ${inline(1)} UNENCRYPTED_SRTP`), false],
    ['DTLS', secure('UDP/TLS/RTP/SAVP', `1 ${S80} ${inline(1)}`), false],
  ])('%s', (_, sdp, taken) => {
    expect(isAcceptable(readOffer(sdp).lines[0]!, 0)).toBe(taken);
  });

  it('answers each line of a mixed offer by itself: the plain one plainly, the secure one by tag and our key', () => {
    const mixed = readOffer(
      offer(
        'm=audio 4000 RTP/AVP 8',
        'a=label:1',
        'm=audio 4002 RTP/SAVP 8',
        'a=label:2',
        `a=crypto:1 AES_CM_128_HMAC_SHA1_32 ${inline(1)}`,
        `a=crypto:2 ${S80} ${inline(2)}`,
        'm=audio 4004 RTP/SAVP 8',
        'a=label:3',
      ),
    );
    const key = testKey(3);
    const answer = writeAnswer(
      mixed,
      [
        { kind: 'accept', rtpPort: 20_000, rtcpPort: 20_001 },
        { kind: 'accept', rtpPort: 20_002, rtcpPort: 20_003, crypto: { tag: 2, suite: S80, key } },
        { kind: 'refuse' },
      ],
      SESSION,
    );
    const lines = answer.split('\r\n').filter((line) => /^m=|^a=crypto|^a=label/.test(line));
    expect(lines).toEqual([
      'm=audio 20000 RTP/AVP 8',
      'a=label:1',
      'm=audio 20002 RTP/SAVP 8',
      `a=crypto:2 ${S80} ${inline(3)}`,
      'a=label:2',
      'm=audio 0 RTP/SAVP 8',
      'a=label:3',
    ]);
  });

  it('reads where RTCP is wanted', () => {
    const rtcpOf = (...lines: string[]) =>
      readOffer(offer('m=audio 4000 RTP/AVP 0', ...lines)).lines[0]?.rtcp;
    expect(rtcpOf()).toBeUndefined();
    expect(rtcpOf('a=rtcp:4711')).toEqual({ port: 4711, address: undefined });
    expect(rtcpOf('a=rtcp:4711 IN IP4 192.0.2.9')).toEqual({ port: 4711, address: '192.0.2.9' });
  });
});

describe('what is read of offers in the field', () => {
  const first = (...media: string[]) => readOffer(offer(...media)).lines[0];

  it('takes c= of the line before that of the session; a placeholder is no address, but says hold', () => {
    expect(first('m=audio 1 RTP/AVP 0', 'c=IN IP4 192.0.2.9')).toMatchObject({
      address: '192.0.2.9',
      nullAddress: false,
    });
    expect(first('m=audio 1 RTP/AVP 0')?.address).toBe('198.51.100.7');
    expect(first('m=audio 1 RTP/AVP 0', 'c=IN IP4 0.0.0.0')).toMatchObject({
      address: undefined,
      nullAddress: true,
    });
    const without = readOffer('v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 1 RTP/AVP 0\r\n');
    expect(without.lines[0]).toMatchObject({ address: undefined, nullAddress: false });
  });

  it.each([
    ['16777227', '16777227'],
    ['0', '0'],
    ['a_leg', 'a_leg'],
    ['007', '007'],
  ])('label %s is echoed as it stands', (label, expected) => {
    const read = readOffer(offer('m=audio 1 RTP/AVP 0', `a=label:${label}`));
    expect(read.lines[0]?.label).toBe(expected);
    const answer = writeAnswer(
      read,
      [{ kind: 'accept', rtpPort: 2, rtcpPort: 3, crypto: undefined }],
      SESSION,
    );
    expect(answer).toContain(`a=label:${expected}\r\n`);
  });

  it('reads static payload types without rtpmap, events and comfort noise under any number', () => {
    expect(
      first('m=audio 1 RTP/AVP 0 8 19 96 126', 'a=rtpmap:96 telephone-event/8000', 'a=rtpmap:126 CN/8000'),
    ).toMatchObject({
      g711: [
        { payloadType: 0, law: 'PCMU' },
        { payloadType: 8, law: 'PCMA' },
      ],
      telephoneEvent: { payloadType: 96, events: '0-15' },
      comfortNoise: 19,
    });
  });

  it('reads an address and a codec that look like numbers, which the parser hands over as such', () => {
    const [line] = readOffer(
      offer('m=audio 4000 RTP/AVP 8 96', 'c=IN IP4 65536', 'a=rtpmap:96 8000/8000'),
    ).lines;
    expect(line).toMatchObject({ address: '65536', g711: [{ payloadType: 8, law: 'PCMA' }] });
  });

  it('reads a count of ports, an unknown attribute, and i=', () => {
    expect(first('m=audio 4000/2 RTP/AVP 0', 'i=party 7', 'a=direction:both')).toMatchObject({
      port: 4000,
      direction: 'sendrecv',
      information: 'party 7',
    });
  });
});

describe('any offer', () => {
  const media = fc.record({
    type: fc.constantFrom('audio', 'video', 'message', 'application', 'image'),
    port: fc.integer({ min: 0, max: 65_535 }),
    protocol: fc.constantFrom(
      'RTP/AVP',
      'RTP/AVPF',
      'RTP/SAVP',
      'RTP/SAVPF',
      'TCP/MSRP',
      'udptl',
      'UDP/TLS/RTP/SAVPF',
    ),
    formats: fc.array(fc.integer({ min: 0, max: 127 }), { minLength: 1, maxLength: 8 }),
    attributes: fc.subarray([
      'a=sendonly',
      'a=inactive',
      'a=label:7',
      'a=rtcp-mux',
      'a=ptime:60',
      'c=IN IP4 0.0.0.0',
      'a=rtpmap:101 telephone-event/8000',
      'a=rtpmap:0 opus/48000/2',
      'a=fmtp:101 0-16',
      'i=x',
    ]),
    accepted: fc.boolean(),
  });

  it('has an answer with as many lines, in the same order, of the same media and transport', () => {
    fc.assert(
      fc.property(fc.array(media, { minLength: 1, maxLength: 12 }), (lines) => {
        const read = readOffer(
          offer(
            ...lines.flatMap(({ type, port, protocol, formats, attributes }) => [
              `m=${type} ${port} ${protocol} ${formats.join(' ')}`,
              ...attributes,
            ]),
          ),
        );
        const taken = read.lines.map((line, index) => isAcceptable(line, index) && lines[index]!.accepted);
        const answer = writeAnswer(
          read,
          taken.map((isTaken) =>
            isTaken
              ? { kind: 'accept', rtpPort: 20_000, rtcpPort: 20_001, crypto: undefined }
              : { kind: 'refuse' },
          ),
          SESSION,
        );
        const answered = readOffer(answer).lines;
        expect(answered.map(({ media: type, protocol }) => `${type} ${protocol}`)).toEqual(
          lines.map(({ type, protocol }) => `${type} ${protocol}`),
        );
        for (const [index, line] of answered.entries()) {
          const offered = read.lines[index]!;
          expect(line.port).toBe(taken[index] === true ? 20_000 : 0);
          expect(line.label).toBe(offered.label);
          if (taken[index] !== true) expect(line.formats).toBe(offered.formats);
          else {
            expect(line.g711).toEqual(offered.g711.slice(0, 1));
            expect(['recvonly', 'inactive']).toContain(line.direction);
            expect(line.rtcpMux).toBe(offered.rtcpMux);
          }
        }
      }),
      { seed: 3264, numRuns: 500 },
    );
  });
});

describe('our offer', () => {
  it('keeps agreed numbers first, adds what is free, and understands the answer to it', () => {
    const [agreed] = readOffer(
      offer(
        'm=audio 1 RTP/AVP 96 8',
        'a=rtpmap:96 PCMU/8000',
        'a=rtpmap:8 telephone-event/8000',
        'a=label:x',
      ),
    ).lines;
    const wide = widenLine(agreed!);
    // 8 means events here, so A-law has no number; 13 is free.
    expect(wide).toMatchObject({ g711: [{ payloadType: 96, law: 'PCMU' }], comfortNoise: 13 });
    const text = writeOffer(
      [{ line: wide, ports: { kind: 'accept', rtpPort: 20_000, rtcpPort: 20_001, crypto: undefined } }],
      SESSION,
    );
    expect(text).toMatch(/^m=audio 20000 RTP\/AVP 96 8 13\r$/m);
    expect(text).toMatch(/^a=recvonly\r$/m);
    const [answer] = readOffer(offer('m=audio 7000 RTP/AVP 8', 'a=sendonly')).lines;
    expect(agreeLine(OWN_LINE, answer!)).toMatchObject({
      port: 7000,
      g711: [
        { payloadType: 8, law: 'PCMA' },
        { payloadType: 0, law: 'PCMU' },
      ],
      telephoneEvent: { payloadType: 101 },
    });
    const [foreign] = readOffer(offer('m=audio 7000 RTP/AVP 18')).lines;
    expect(isAcceptable(agreeLine(OWN_LINE, foreign!), 0)).toBe(false);
  });

  it('is sendrecv where we speak', () => {
    const text = writeOffer(
      [{ line: OWN_LINE, ports: { kind: 'accept', rtpPort: 20_000, rtcpPort: 20_001, crypto: undefined } }],
      { ...SESSION, side: 'speaks' },
    );
    expect(text).toMatch(/^a=sendrecv\r$/m);
  });
});
