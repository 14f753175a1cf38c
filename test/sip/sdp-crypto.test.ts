import { inspect } from 'node:util';

import { describe, expect, it } from 'vitest';

import { chooseCrypto, isSecureProtocol, readCryptoLines, writeCrypto } from '../../src/sip/sdp-crypto.ts';
import { testKey } from '../support/srtp-stream.ts';

const KEY = testKey(1).keyAndSalt.reveal();
const INLINE = `inline:${KEY.toString('base64')}`;
const S80 = 'AES_CM_128_HMAC_SHA1_80';
const S32 = 'AES_CM_128_HMAC_SHA1_32';

/** The lines of one m-line with these a=crypto values. */
const read = (...values: string[]) =>
  readCryptoLines(
    ['v=0', 'm=audio 4000 RTP/SAVP 0', ...values.map((value) => `a=crypto:${value}`)].join('\r\n'),
  )[0]!;

describe('readCryptoLines', () => {
  it('reads tag, suite and key', () => {
    const [line] = read(`1 ${S80} ${INLINE}`);
    expect(line).toMatchObject({ tag: 1, suite: S80 });
    expect(line!.keys).toHaveLength(1);
    expect(line!.keys[0]!.keyAndSalt.reveal()).toEqual(KEY);
    expect(line!.keys[0]!.mki).toBeUndefined();
  });

  it.each([
    ['a lifetime as a power', `1 ${S80} ${INLINE}|2^20`, undefined],
    ['a lifetime as a number', `1 ${S80} ${INLINE}|1048576`, undefined],
    ['a lifetime and an identifier', `1 ${S80} ${INLINE}|2^20|1:4`, '00000001'],
    ['an identifier alone', `1 ${S80} ${INLINE}|258:2`, '0102'],
    ['a window size hint', `1 ${S80} ${INLINE} WSH=64`, undefined],
    ['an extension that may be left out', `1 ${S80} ${INLINE} -x=1`, undefined],
  ])('takes %s', (_, value, mki) => {
    expect(read(value)[0]!.keys[0]!.mki?.toString('hex')).toBe(mki);
  });

  it('takes several keys that are told apart by identifiers of one length', () => {
    const [line] = read(
      `1 ${S80} ${INLINE}|1:1;inline:${testKey(2).keyAndSalt.reveal().toString('base64')}|2:1`,
    );
    expect(line!.keys.map(({ mki }) => mki?.toString('hex'))).toEqual(['01', '02']);
  });

  it.each([
    ['another suite', `1 AES_256_CM_HMAC_SHA1_80 ${INLINE}`],
    ['no encryption', `1 ${S80} ${INLINE} UNENCRYPTED_SRTP`],
    ['no encryption of RTCP', `1 ${S80} ${INLINE} UNENCRYPTED_SRTCP`],
    ['no authentication, behind a harmless parameter', `1 ${S80} ${INLINE} WSH=64 UNAUTHENTICATED_SRTP`],
    ['a key derivation rate', `1 ${S80} ${INLINE} KDR=1`],
    ['a parameter that nobody knows', `1 ${S80} ${INLINE} FOO`],
    ['a key that is too short', `1 ${S80} inline:AAAA`],
    ['a key that is no base64', `1 ${S80} inline:${'*'.repeat(40)}`],
    ['a key method other than inline', `1 ${S80} uri:${'A'.repeat(40)}`],
    ['an identifier that does not fit its length', `1 ${S80} ${INLINE}|256:1`],
    ['an identifier that is too long', `1 ${S80} ${INLINE}|1:16`],
    ['two keys without identifiers', `1 ${S80} ${INLINE};${INLINE}`],
    ['no tag', `x ${S80} ${INLINE}`],
    ['nothing', ''],
  ])('does not use a line with %s', (_, value) => {
    expect(read(value)).toEqual([]);
  });

  it('keeps the m-lines apart, and a tag once', () => {
    const sdp = [
      'v=0',
      `a=crypto:9 ${S80} ${INLINE}`,
      'm=audio 4000 RTP/AVP 0',
      'm=audio 4002 RTP/SAVP 0',
      `a=crypto:1 ${S32} ${INLINE}`,
      `a=crypto:1 ${S80} ${INLINE}`,
    ].join('\n');
    expect(readCryptoLines(sdp).map((lines) => lines.map(({ tag, suite }) => [tag, suite]))).toEqual([
      [],
      [[1, S32]],
    ]);
  });

  it('shows no key to who prints a line', () => {
    const lines = read(`1 ${S80} ${INLINE}`);
    const shown = inspect(lines, { depth: 9 }) + JSON.stringify(lines);
    expect(shown).not.toContain(KEY.toString('base64'));
    expect(shown).not.toContain(KEY.toString('hex').slice(0, 8));
  });
});

describe('chooseCrypto', () => {
  it.each([
    ['the first of the 80-bit ones', [`1 ${S32} ${INLINE}`, `2 ${S80} ${INLINE}`, `3 ${S80} ${INLINE}`], 2],
    ['the 32-bit one where there is no other', [`4 ${S32} ${INLINE}`], 4],
    ['the first that is usable', [`1 ${S80} ${INLINE} UNENCRYPTED_SRTP`, `2 ${S80} ${INLINE}`], 2],
    ['none where there is none', [`1 AEAD_AES_128_GCM ${INLINE}`], undefined],
  ])('takes %s', (_, values, tag) => {
    expect(chooseCrypto(read(...values))?.tag).toBe(tag);
  });
});

describe('writeCrypto', () => {
  it('gives the key that we send by, as the writer of descriptions takes it', () => {
    expect(writeCrypto({ tag: 3, suite: S32, key: testKey(1) })).toEqual({
      id: 3,
      suite: S32,
      config: INLINE,
    });
  });
});

describe('isSecureProtocol', () => {
  it.each([
    ['RTP/SAVP', true],
    ['RTP/SAVPF', true],
    ['RTP/AVP', false],
    ['UDP/TLS/RTP/SAVP', false],
  ])('%s: %s', (protocol, expected) => {
    expect(isSecureProtocol(protocol)).toBe(expected);
  });
});
