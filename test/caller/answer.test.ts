import { expect, test } from 'vitest';

import { readAnswer } from '../../src/caller/answer.ts';
import { CallscribeError } from '../../src/errors.ts';

const sdp = (...lines: string[]): string =>
  ['v=0', 'o=- 1 1 IN IP4 192.0.2.9', 's=-', ...lines, ''].join('\r\n');

test('a line takes its own address, else that of the session', () => {
  const body = sdp(
    'c=IN IP4 192.0.2.1',
    't=0 0',
    'm=audio 4000 RTP/AVP 8',
    'a=label:7',
    'm=audio 4002 RTP/AVP 8',
    'c=IN IP6 ::1',
    'a=recvonly',
  );
  expect(readAnswer(body, 2)).toEqual([
    {
      kind: 'accepted',
      address: '192.0.2.1',
      port: 4000,
      label: '7',
      direction: 'sendrecv',
      rtcpPort: 4001,
      crypto: undefined,
    },
    {
      kind: 'accepted',
      address: '::1',
      port: 4002,
      label: undefined,
      direction: 'recvonly',
      rtcpPort: 4003,
      crypto: undefined,
    },
  ]);
});

test('port 0 refuses the line, without an address too', () => {
  expect(readAnswer(sdp('t=0 0', 'm=audio 0 RTP/AVP 8'), 1)).toEqual([{ kind: 'refused' }]);
});

test.each([
  ['no body', '', 1],
  ['fewer lines than offered', sdp('c=IN IP4 192.0.2.1', 'm=audio 4000 RTP/AVP 8'), 2],
  [
    'more lines than offered',
    sdp('c=IN IP4 192.0.2.1', 'm=audio 4000 RTP/AVP 8', 'm=audio 4002 RTP/AVP 8'),
    1,
  ],
  ['no address', sdp('m=audio 4000 RTP/AVP 8'), 1],
  ['no port', sdp('c=IN IP4 192.0.2.1', 'm=audio x RTP/AVP 8'), 1],
])('%s is malformed', (_, body, lines) => {
  expect(() => readAnswer(body, lines)).toThrow(CallscribeError);
});

test('a line tells where its RTCP goes and what its media is protected by', () => {
  const key = Buffer.alloc(30, 7);
  const body = sdp(
    'c=IN IP4 192.0.2.1',
    't=0 0',
    'm=audio 4000 RTP/SAVP 8',
    'a=rtcp:4711',
    `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key.toString('base64')}|2^20`,
  );
  const [line] = readAnswer(body, 1);
  expect(line).toMatchObject({ rtcpPort: 4711, crypto: { tag: 1, suite: 'AES_CM_128_HMAC_SHA1_80' } });
  expect(line?.kind === 'accepted' && line.crypto?.keyAndSalt.reveal()).toEqual(key);
});
