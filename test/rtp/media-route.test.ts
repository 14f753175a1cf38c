import { describe, expect, it } from 'vitest';

import type { LastSource } from '../../src/rtp/late-sender.ts';
import { MediaRoute } from '../../src/rtp/media-route.ts';

const sourceAt = (address: string, port: number, atMs = 0): LastSource => ({
  address,
  port,
  atMs,
  ssrc: 1,
  timestamp: 0,
});
const PUBLIC = { address: '198.51.100.7', port: 4_000 };
const PRIVATE = { address: '192.168.1.2', port: 5_004 };

describe('MediaRoute', () => {
  it('is the signalled address until somebody speaks, then back to where that comes from (RFC 4961)', () => {
    const route = new MediaRoute(PRIVATE);
    expect(route.target(undefined)).toEqual({ ...PRIVATE, socket: 'rtp' });
    const behindTranslator = sourceAt('203.0.113.9', 61_000);
    expect(route.target(behindTranslator)).toEqual({ address: '203.0.113.9', port: 61_000, socket: 'rtp' });
  });

  it.each([
    ['no address', { address: undefined, port: 4_000 }],
    ['a name', { address: 'phone.example.org', port: 4_000 }],
    ['port 0', { address: '198.51.100.7', port: 0 }],
  ])('leads nowhere while %s is signalled and nobody speaks', (_, signalled) => {
    expect(new MediaRoute(signalled).target(undefined)).toBeUndefined();
  });

  it('leads to an announced address at once, and from there on to where its media comes from', () => {
    const route = new MediaRoute(PUBLIC);
    const old = sourceAt(PUBLIC.address, PUBLIC.port, 1_000);
    route.redirect({ address: PUBLIC.address, port: 4_002 }, old, 1_000);
    expect(route.target({ ...old, atMs: 1_020 })).toMatchObject({ port: 4_002 });
    expect(route.target(sourceAt(PUBLIC.address, 4_010, 1_040))).toMatchObject({ port: 4_010 });
  });

  it('goes back to a source that still speaks half a second after another address was announced', () => {
    const route = new MediaRoute(PRIVATE);
    const source = sourceAt('203.0.113.9', 61_000, 1_000);
    route.redirect({ address: PRIVATE.address, port: 5_006 }, source, 1_000);
    expect(route.target({ ...source, atMs: 1_499 })).toMatchObject({ port: 5_006 });
    expect(route.target({ ...source, atMs: 1_500 })).toMatchObject({ port: 61_000 });
  });

  it('never leads to a source that may not be the leg’s by what was announced since', () => {
    const route = new MediaRoute(PUBLIC);
    route.redirect({ address: '198.51.100.8', port: 4_000 }, sourceAt(PUBLIC.address, 4_000), 0);
    expect(route.target(sourceAt(PUBLIC.address, 4_000, 60_000))).toMatchObject({ address: '198.51.100.8' });
  });

  it('stays as it is where the description says the same again', () => {
    const route = new MediaRoute(PRIVATE);
    const source = sourceAt('203.0.113.9', 61_000, 1_000);
    route.redirect({ ...PRIVATE }, source, 1_000);
    expect(route.target(source)).toMatchObject({ port: 61_000 });
  });
});
