import { inspect } from 'node:util';

import { describe, expect, it } from 'vitest';

import { Secret } from '../src/secret.ts';

describe('Secret', () => {
  it('shows its value to nobody who does not ask', () => {
    const secret = new Secret('s3cr3t');
    const shown = [JSON.stringify({ secret }), inspect(secret, { showHidden: true }), String(secret)];
    expect(shown.join()).not.toContain('s3cr3t');
    expect(JSON.stringify(secret)).toBe('"[secret]"');
    expect(secret.reveal()).toBe('s3cr3t');
  });
});
