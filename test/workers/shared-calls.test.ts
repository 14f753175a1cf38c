import { once } from 'node:events';
import { createServer } from 'node:net';

import { afterEach, describe, expect, inject, it } from 'vitest';

import { muteRecogniser } from '../../src/bench/scripted-recogniser.ts';
import type { CallReport } from '../../src/caller/call-report.ts';
import { openCaller } from '../../src/caller/caller.ts';
import { readSipTarget } from '../../src/caller/sip-target.ts';
import { silentLogger } from '../../src/log.ts';
import type { SandboxRecogniser } from '../../src/sandbox/recogniser.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { endRoots, logged, type RunningRoot, start } from '../support/root-process.ts';

afterEach(endRoots);

/** Ten minutes: longer than any test, so that calls end when the test says so. */
const CODES = new Uint8Array(600 * 8_000).fill(0xd5);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function answeredCalls(intake: RunningRoot): Promise<number> {
  const { http } = (await logged(intake, 'ready')) as { http: string };
  const text = await (await fetch(`${http}/metrics`)).text();
  return Number(/^callscribe_invites_total\{status="200"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

/** Counts what each task hears. */
function countingRecogniser(frames: number[]): SandboxRecogniser {
  return {
    ...muteRecogniser,
    open: (options) => {
      const recognition = muteRecogniser.open(options);
      const feed = recognition.feed.bind(recognition);
      const taskNo = frames.push(0) - 1;
      return Object.assign(recognition, {
        feed: (pcm: Buffer) => {
          frames[taskNo]! += 1;
          return feed(pcm);
        },
      });
    },
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('one edge and two intakes', () => {
  it('share calls evenly; the death of one leaves the other’s calls as they are, and new ones go there', async () => {
    const frames: number[] = [];
    await using sandbox = await startSandbox({
      host: '127.0.0.1',
      port: 0,
      recogniser: countingRecogniser(frames),
      rateLimit: 'off',
      logger: silentLogger,
    });
    const server = {
      DRACHTIO_HOST: '127.0.0.1',
      DRACHTIO_PORT: String(await freePort()),
      DRACHTIO_SECRET: 'between us',
    };
    const edge = start('role.ts', ['edge'], { ...server, SIP_LISTEN: 'udp:127.0.0.1:0' });
    const [address] = ((await logged(edge, 'ready')) as { sip: readonly string[] }).sip;
    const [one, other] = ['43000-43199', '43200-43399'].map((ports) =>
      start('role.ts', ['intake'], {
        ...server,
        RTP_PORTS: ports,
        REDIS_URL: `${inject('redisUrl')}/3`,
        DASHSCOPE_WS_URL: sandbox.url,
      }),
    ) as [RunningRoot, RunningRoot];
    await Promise.all([logged(one, 'ready'), logged(other, 'ready')]);

    const target = readSipTarget(address!.replace(/^udp:/, 'sip:'))!;
    await using caller = await openCaller({ target, transport: 'udp' });
    const ending = new AbortController();
    const calls: Promise<CallReport>[] = [];
    const placeCalls = async (count: number): Promise<void> => {
      for (let no = 0; no < count; no += 1) {
        await new Promise<void>((resolve) => {
          const call = caller.placeCall({
            mode: 'plain',
            legs: [{ codec: 'PCMA', codes: CODES, label: '1' }],
            signal: ending.signal,
            onEvent: ({ kind }) => {
              if (kind === 'answered') resolve();
            },
          });
          calls.push(call);
          void call.then(() => {
            resolve();
          });
        });
      }
    };
    await placeCalls(6);
    expect([await answeredCalls(one), await answeredCalls(other)]).toEqual([3, 3]);
    await until(() => frames.length === 6 && frames.every((count) => count > 1));

    one.child.kill('SIGKILL');
    await one.ended;
    const before = [...frames];
    const heard = (): number => frames.filter((count, taskNo) => count > (before[taskNo] ?? 0) + 2).length;
    await until(() => heard() === 3);

    await placeCalls(2);
    expect(await answeredCalls(other)).toBe(5);
    await until(() => heard() === 5);
    ending.abort();
    const reports = await Promise.all(calls);
    expect(reports.map(({ outcome }) => outcome.kind)).toEqual(Array(8).fill('aborted'));
    await until(() => sandbox.counters.tasksFinished === 5);

    other.child.kill('SIGTERM');
    expect(await other.ended).toBe(0);
    edge.child.kill('SIGTERM');
    expect(await edge.ended).toBe(0);
  }, 120_000);

  it('do not use the same media ports', async () => {
    const server = {
      DRACHTIO_HOST: '127.0.0.1',
      DRACHTIO_PORT: String(await freePort()),
      DRACHTIO_SECRET: 'between us',
    };
    const edge = start('role.ts', ['edge'], { ...server, SIP_LISTEN: 'udp:127.0.0.1:0' });
    await logged(edge, 'ready');
    const env = { ...server, RTP_PORTS: '43400-43499', REDIS_URL: `${inject('redisUrl')}/3` };
    await logged(start('role.ts', ['intake'], env), 'ready');
    const second = start('role.ts', ['intake'], { ...env, RTP_PORTS: '43498-43599' });
    expect(await second.ended).toBe(2);
    expect(second.output.stderr).toContain('RTP_PORTS: found 43498-43599');
  }, 60_000);

  it('need an edge that knows where to listen', async () => {
    const edge = start('role.ts', ['edge'], { SIP_LISTEN: 'udp:127.0.0.1:0' });
    expect(await edge.ended).toBe(2);
    expect(edge.output.stderr).toContain('DRACHTIO_HOST');
  });
});
