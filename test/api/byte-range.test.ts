import { expect, it } from 'vitest';

import { readByteRange } from '../../src/api/byte-range.ts';

// RFC 9110 §14.1.2, of a file of 10,000 bytes.
it.each([
  [undefined, 'whole'],
  ['bytes=0-499', { from: 0, end: 500 }],
  ['bytes=500-', { from: 500, end: 10_000 }],
  ['bytes=-500', { from: 9_500, end: 10_000 }],
  ['bytes=9999-9999', { from: 9_999, end: 10_000 }],
  ['Bytes=0-0', { from: 0, end: 1 }],
  ['bytes= 0-99999', { from: 0, end: 10_000 }],
  ['bytes=-99999', { from: 0, end: 10_000 }],
  ['bytes=10000-', 'unsatisfiable'],
  ['bytes=99999999999999999999-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=5-4', 'whole'],
  ['bytes=0-1,5-6', 'whole'],
  ['bytes=-', 'whole'],
  ['bytes=a-b', 'whole'],
  ['seconds=0-1', 'whole'],
])('%s asks for %j', (header, asked) => {
  expect(readByteRange(header, 10_000)).toEqual(asked);
});
