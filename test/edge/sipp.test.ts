import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';

import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Edge } from '../../src/edge/edge.ts';
import { ANSWER, connectApp, sipAddress, startTestEdge, until } from './app.ts';

const run = promisify(execFile);
// `sipp -v` prints its version and ends with code 99.
const hasSipp = await run('sipp', ['-v']).then(
  () => true,
  (error: unknown) => (error as { code?: unknown }).code !== 'ENOENT',
);

let edge: Edge;
let app: Srf;
let answered = 0;
beforeEach(async () => {
  answered = 0;
  edge = await startTestEdge();
  app = await connectApp(edge, (srf) => {
    srf.invite((req, res) => {
      void srf.createUAS(req, res, { localSdp: ANSWER }).then(() => (answered += 1));
    });
  });
});
afterEach(async () => {
  app.disconnect();
  await edge.close();
});

// Not our own client: Debian's package sip-tester. Skipped where sipp is not on the PATH.
describe.skipIf(!hasSipp)('sipp (skipped: no sipp on the PATH)', () => {
  it.each([
    ['UDP, one socket', 'u1', 'udp'],
    ['TCP, one connection', 't1', 'tcp'],
    ['TCP, a connection for each call', 'tn', 'tcp'],
  ] as const)('places 50 calls over %s and ends them', async (_, transport, protocol) => {
    const { host, port } = sipAddress(edge, protocol);
    const load = ['-m', '50', '-r', '100', '-d', '50', '-timeout', '20', '-timeout_error'];
    const files = ['-max_socket', '100', '-nostdin'];
    await run('sipp', ['-sn', 'uac', '-t', transport, ...load, ...files, '-i', host, `${host}:${port}`], {
      cwd: tmpdir(),
      env: { ...process.env, TERM: 'dumb' },
    });
    expect(answered).toBe(50);
    await until(() => edge.counters().dialogs === 0);
    expect(edge.counters()).toMatchObject({ malformed: 0, requestsWithApp: 0, sendFailures: 0 });
  });
});
