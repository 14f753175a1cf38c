import { expect, it } from 'vitest';

import { payloadKinds } from '../../src/rtp/payload-map.ts';

it('a payload type means what was negotiated, a codec first, and nothing otherwise', () => {
  const kinds = payloadKinds({
    codecs: new Map([
      [0, 'PCMU'],
      [8, 'PCMA'],
      [97, 'PCMU'],
    ]),
    telephoneEventPayloadTypes: new Set([101, 97]),
    comfortNoisePayloadTypes: new Set([13]),
  });
  expect(kinds).toHaveLength(128);
  expect([0, 8, 97, 101, 13, 18, 127].map((payloadType) => kinds[payloadType])).toEqual([
    'PCMU',
    'PCMA',
    'PCMU',
    'telephone-event',
    'comfort-noise',
    undefined,
    undefined,
  ]);
});
