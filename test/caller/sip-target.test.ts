import { expect, test } from 'vitest';

import { readSipTarget, targetUri } from '../../src/caller/sip-target.ts';

test.each([
  ['sip:127.0.0.1:5070', { user: undefined, host: '127.0.0.1', port: 5070 }, 'sip:127.0.0.1:5070'],
  ['sip:rec@srs.example', { user: 'rec', host: 'srs.example', port: 5060 }, 'sip:rec@srs.example:5060'],
  ['127.0.0.1', { user: undefined, host: '127.0.0.1', port: 5060 }, 'sip:127.0.0.1:5060'],
  ['sip:[::1]', { user: undefined, host: '::1', port: 5060 }, 'sip:[::1]:5060'],
])('%s', (text, target, uri) => {
  expect(readSipTarget(text)).toEqual(target);
  expect(targetUri(target)).toBe(uri);
});

test.each([
  '',
  'sips:x',
  'sip:',
  'sip:x:0',
  'sip:x:65536',
  'sip:a b@x',
  'sip:x;transport=tcp',
  'tel:+861055550123',
])('%j is no target', (text) => {
  expect(readSipTarget(text)).toBeUndefined();
});
