import { createDecipheriv, createHmac } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { deriveSessionKeys, SrtpCipher } from '../../src/rtp/srtp-cipher.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

/** RFC 3711 §B.3: master key, then master salt. */
const KEY_AND_SALT = hex('E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6');

describe('SRTP session keys', () => {
  it('derives those of RFC 3711 §B.3', () => {
    expect(deriveSessionKeys(KEY_AND_SALT)).toEqual({
      encryption: hex('C61E7A93744F39EE10734AFE3FF7A087'),
      salt: hex('30CBBC08863D8C85D49DB34A9AE1'),
      authentication: hex('CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4'),
    });
  });
});

describe('SrtpCipher', () => {
  it('makes the key stream of RFC 3711 §B.2', () => {
    const cipher = new SrtpCipher({
      encryption: hex('2B7E151628AED2A6ABF7158809CF4F3C'),
      salt: hex('F0F1F2F3F4F5F6F7F8F9FAFBFCFD'),
      authentication: Buffer.alloc(20),
    });
    const datagram = Buffer.alloc(12 + 48);
    cipher.transform(datagram, 12, 60, 0);
    expect(datagram.subarray(12)).toEqual(
      hex(
        'E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0',
      ),
    );
  });

  it('agrees with node:crypto for any key, length and index (seed 1)', () => {
    const bytes = (length: number): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(
        bytes(30),
        fc.uint8Array({ minLength: 12, maxLength: 700 }).map((array) => Buffer.from(array)),
        fc.nat({ max: 2 ** 32 - 1 }),
        fc.nat({ max: 0xffff }),
        (keyAndSalt, plain, rolloverCounter, sequenceNumber) => {
          const keys = deriveSessionKeys(keyAndSalt);
          const cipher = new SrtpCipher(keys);
          const sealed = Buffer.from(plain);
          cipher.transform(sealed, 12, sealed.length, rolloverCounter * 0x1_0000 + sequenceNumber);

          const iv = Buffer.alloc(16);
          keys.salt.copy(iv);
          for (const [i, octet] of plain.subarray(8, 12).entries()) iv[4 + i]! ^= octet;
          const index = Buffer.alloc(6);
          index.writeUInt32BE(rolloverCounter);
          index.writeUInt16BE(sequenceNumber, 4);
          for (const [i, octet] of index.entries()) iv[8 + i]! ^= octet;
          const opened = createDecipheriv('aes-128-ctr', keys.encryption, iv).update(sealed.subarray(12));
          expect(opened).toEqual(plain.subarray(12));

          const tag = createHmac('sha1', keys.authentication)
            .update(sealed)
            .update(index.subarray(0, 4))
            .digest();
          const protectedPacket = Buffer.concat([sealed, tag.subarray(0, 10)]);
          const check = (roc: number): boolean =>
            cipher.authenticates(protectedPacket, sealed.length, sealed.length, 10, roc);
          expect(check(rolloverCounter)).toBe(true);
          expect(check((rolloverCounter + 1) % 2 ** 32)).toBe(false);
          protectedPacket[protectedPacket.length - 1]! ^= 0x80;
          expect(check(rolloverCounter)).toBe(false);
        },
      ),
      { seed: 1, numRuns: 200 },
    );
  });
});
