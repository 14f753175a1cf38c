import { createSocket } from 'node:dgram';

import { expect, it, vi } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { PortPool } from '../../src/rtp/port-pool.ts';
import { bindPair } from '../../src/rtp/socket-pair.ts';

it('does not take a pair to which the sender of a dead process’s call still speaks', async () => {
  const firstPort = 18_000 + (process.pid % 500) * 4;
  const sender = createSocket('udp4');
  const speaking = setInterval(() => {
    sender.send('x', firstPort, '127.0.0.1');
  }, 10);
  const onRtp = vi.fn();
  const handlers = { onRtp, onRtcp: onRtp, onSocketError: onRtp };
  try {
    const range = { address: '127.0.0.1', firstPort, lastPort: firstPort + 3, clock: systemClock };
    const pair = await bindPair(new PortPool({ ...range, listenFirstMs: 60 }), handlers);
    expect(pair.rtpPort).toBe(firstPort + 2);
    expect(onRtp).not.toHaveBeenCalled();
    await pair.close();
    // Where the history is known, nobody listens first.
    const known = await bindPair(new PortPool(range), handlers);
    expect(known.rtpPort).toBe(firstPort);
    await known.close();
  } finally {
    clearInterval(speaking);
    sender.close();
  }
});
