import { createHash } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type DigestAlgorithm, type DigestCredentials, DigestVerifier } from '../../src/sip/digest.ts';

const REALM = 'callscribe "x"';
const HASHES = { 'SHA-256': 'sha256', MD5: 'md5' } as const;

const verifierOf = (options: Partial<ConstructorParameters<typeof DigestVerifier>[0]> = {}): DigestVerifier =>
  new DigestVerifier({
    realm: REALM,
    users: [{ name: 'alice', secret: 'open:sesame' }],
    algorithms: ['SHA-256', 'MD5'],
    key: 'k',
    ...options,
  });

const nonceOf = (challenge: string): string => /nonce="([^"]+)"/.exec(challenge)![1]!;
let salt = 0;
const freshNonce = (verifier: DigestVerifier, nowMs: number): string =>
  nonceOf(verifier.challenge({ nowMs, salt: `s${(salt += 1)}`, stale: false })[0]!);

/** What a client answers (RFC 7616 §3.4.1 to §3.4.3), reckoned apart from the code under test. */
function credentials(
  nonce: string,
  options: {
    algorithm?: DigestAlgorithm;
    secret?: string;
    username?: string;
    nc?: string;
    realm?: string;
  } = {},
): DigestCredentials {
  const { algorithm = 'SHA-256', secret = 'open:sesame', username = 'alice', nc = '00000001' } = options;
  const realm = options.realm ?? REALM;
  const h = (text: string): string => createHash(HASHES[algorithm]).update(text).digest('hex');
  const uri = 'sip:recorder@example.org';
  const ha1 = h(`${username}:${realm}:${secret}`);
  const response = h(`${ha1}:${nonce}:${nc}:0a4f113b:auth:${h(`INVITE:${uri}`)}`);
  return { algorithm, username, realm, nonce, uri, nc, cnonce: '0a4f113b', qop: 'auth', response };
}
const at = (nowMs: number): { method: string; nowMs: number } => ({ method: 'INVITE', nowMs });

it('the example of RFC 7616 §3.9.1, both algorithms', () => {
  // Their nonce is not one of ours, so the formula is what is checked: the same text, the same hash.
  const h = (algorithm: 'md5' | 'sha256', text: string): string =>
    createHash(algorithm).update(text).digest('hex');
  const nonce = '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v';
  const cnonce = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ';
  const response = (algorithm: 'md5' | 'sha256'): string => {
    const ha1 = h(algorithm, 'Mufasa:http-auth@example.org:Circle of Life');
    return h(algorithm, `${ha1}:${nonce}:00000001:${cnonce}:auth:${h(algorithm, 'GET:/dir/index.html')}`);
  };
  expect(response('md5')).toBe('8ca523f5e9506fed4657c9700eebdbec');
  expect(response('sha256')).toBe('753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1');
});

describe('a challenge', () => {
  it('names every algorithm in our order, one nonce, qop and nothing that would have to be kept', () => {
    const [first, second, ...more] = verifierOf().challenge({ nowMs: 1_000, salt: 's', stale: false });
    expect(first).toMatch(
      /^Digest realm="callscribe \\"x\\"", nonce="[\w.-]+", algorithm=SHA-256, qop="auth"$/,
    );
    expect(second).toBe(first!.replace('SHA-256', 'MD5'));
    expect(more).toEqual([]);
  });

  it('says stale=true where only the nonce was at fault', () => {
    expect(verifierOf().challenge({ nowMs: 1, salt: 's', stale: true })[0]).toMatch(/, stale=true$/);
  });
});

describe('an answer', () => {
  it.each(['SHA-256', 'MD5'] as const)('by %s is taken', (algorithm) => {
    const verifier = verifierOf();
    expect(verifier.verify(credentials(freshNonce(verifier, 0), { algorithm }), at(1))).toBe('fresh');
  });

  it('without algorithm is MD5, as old clients mean it', () => {
    const verifier = verifierOf();
    const { algorithm: _, ...given } = credentials(freshNonce(verifier, 0), { algorithm: 'MD5' });
    expect(verifier.verify(given, at(1))).toBe('fresh');
  });

  it('is taken by another process with the same key, and by none with another', () => {
    const nonce = freshNonce(verifierOf(), 0);
    expect(verifierOf().verify(credentials(nonce), at(1))).toBe('fresh');
    expect(verifierOf({ key: 'other' }).verify(credentials(nonce), at(1))).toBe('wrong');
  });

  it.each([
    ['a wrong secret', { secret: 'x' }],
    ['an unknown name', { username: 'bob' }],
    ['an unknown name and no secret', { username: 'bob', secret: '' }],
  ])('with %s is wrong', (_, options) => {
    const verifier = verifierOf();
    expect(verifier.verify(credentials(freshNonce(verifier, 0), options), at(1))).toBe('wrong');
  });

  it('for another method is wrong', () => {
    const verifier = verifierOf();
    const given = credentials(freshNonce(verifier, 0));
    expect(verifier.verify(given, { method: 'OPTIONS', nowMs: 1 })).toBe('wrong');
  });

  it.each([
    ['another realm', { realm: 'x' }],
    ['no qop', { qop: '' }],
    ['auth-int', { qop: 'auth-int' }],
    ['no count', { nc: '' }],
    ['a count that is no number', { nc: '0000000x' }],
    ['no cnonce', { cnonce: '' }],
    ['an algorithm that we did not offer', { algorithm: 'SHA-512-256' }],
  ])('with %s counts as none', (_, change) => {
    const verifier = verifierOf();
    expect(verifier.verify({ ...credentials(freshNonce(verifier, 0)), ...change }, at(1))).toBe('absent');
    expect(verifier.verify({}, at(1))).toBe('absent');
  });
});

describe('a nonce', () => {
  it('is stale after its time, and from a clock that is far ahead', () => {
    const verifier = verifierOf({ nonceLifetimeMs: 1_000 });
    expect(verifier.verify(credentials(freshNonce(verifier, 0)), at(1_001))).toBe('stale');
    expect(verifier.verify(credentials(freshNonce(verifier, 5_000)), at(3_999))).toBe('stale');
    expect(verifier.verify(credentials(freshNonce(verifier, 5_000)), at(4_500))).toBe('fresh');
  });

  it('is good for one count once: a replay is stale', () => {
    const verifier = verifierOf();
    const nonce = freshNonce(verifier, 0);
    expect(verifier.verify(credentials(nonce), at(1))).toBe('fresh');
    expect(verifier.verify(credentials(nonce), at(2))).toBe('stale');
    expect(verifier.verify(credentials(nonce, { nc: '00000003' }), at(3))).toBe('fresh');
    expect(verifier.verify(credentials(nonce, { nc: '00000002' }), at(4))).toBe('stale');
    expect(verifier.verify(credentials(nonce, { nc: '0000000A' }), at(5))).toBe('fresh');
  });

  it('may not be changed in any character', () => {
    const verifier = verifierOf();
    const nonce = freshNonce(verifier, 0);
    fc.assert(
      fc.property(fc.nat(nonce.length - 1), fc.constantFrom('a', 'Z', '.', '_'), (index, character) => {
        const changed = nonce.slice(0, index) + character + nonce.slice(index + 1);
        fc.pre(changed !== nonce);
        expect(verifier.verify(credentials(changed), at(1))).toBe('wrong');
      }),
      { seed: 4 },
    );
  });

  it('is remembered within a bound that never lets a replay through', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ nonce: fc.nat(30), count: fc.integer({ min: 1, max: 3 }) }), { maxLength: 200 }),
        (uses) => {
          const verifier = verifierOf({ noncesMax: 5 });
          const nonces = Array.from({ length: 31 }, (_, ms) => freshNonce(verifier, ms));
          const taken = new Set<string>();
          for (const { nonce, count } of uses) {
            const verdict = verifier.verify(credentials(nonces[nonce]!, { nc: `0000000${count}` }), at(31));
            const use = `${nonce} ${count}`;
            if (verdict === 'fresh') {
              expect(taken.has(use)).toBe(false);
              taken.add(use);
            }
          }
        },
      ),
      { seed: 5, numRuns: 60 },
    );
  });
});

it('never throws, whatever the header holds', () => {
  const verifier = verifierOf();
  const name = fc.constantFrom(
    'username',
    'realm',
    'nonce',
    'uri',
    'response',
    'nc',
    'cnonce',
    'qop',
    'algorithm',
  );
  fc.assert(
    fc.property(
      fc.dictionary(name, fc.oneof(fc.string(), fc.constantFrom('auth', REALM, '00000001'))),
      (given) => {
        expect(['absent', 'wrong']).toContain(verifier.verify(given, at(1)));
      },
    ),
    { seed: 6 },
  );
});
