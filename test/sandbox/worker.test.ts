import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Run {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
}

function run(env: Record<string, string>): Run {
  const child = spawn(process.execPath, ['--import', 'tsx', 'workers/sandbox.ts'], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] ?? '', ...env },
  });
  children.push(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  return { child, out: () => out, err: () => err };
}

async function untilOut(started: Run, pattern: RegExp): Promise<string> {
  for (;;) {
    const found = pattern.exec(started.out())?.[1];
    if (found !== undefined) return found;
    if (started.child.exitCode !== null) throw new Error(`ended: ${started.err()}`);
    await Promise.race([once(started.child.stdout!, 'data'), once(started.child, 'exit')]);
  }
}

describe('npm run sandbox', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'says what it is, serves, and ends with 0 on %s',
    async (signal) => {
      const started = run({ SANDBOX_PORT: '0' });
      const url = await untilOut(started, /DASHSCOPE_WS_URL=(ws:\S+)\n/);
      expect(started.out()).toMatch(/This is a sandbox, not DashScope/);
      expect(started.out()).toMatch(/Recogniser: captions: no speech recognition/);
      await untilOut(started, /(Ctrl\+C ends it)/);
      const faultsUrl = /^ {2}(http:\S+\/sandbox\/faults)$/m.exec(started.out())?.[1] ?? '';
      expect((await fetch(faultsUrl)).status).toBe(200);
      expect(started.out()).toMatch(/DASHSCOPE_HTTP_URL=http:\S+\/api\/v1\n/);
      expect(started.out()).toMatch(/^ {2}drop\[.*without a close frame unless told/m);
      const socket = new WebSocket(url, { headers: { Authorization: 'Bearer any' } });
      await once(socket, 'open');
      const lost = once(socket, 'close');
      started.child.kill(signal);
      const [code] = (await once(started.child, 'exit')) as [number | null];
      expect(code).toBe(0);
      await lost;
    },
  );

  it('lets in only the keys that it was given', async () => {
    const started = run({ SANDBOX_PORT: '0', SANDBOX_API_KEYS: 'sk-good, sk-other' });
    const url = await untilOut(started, /DASHSCOPE_HTTP_URL=(http:\S+)\n/);
    const statusFor = async (key: string): Promise<number> => {
      const headers = { Authorization: `Bearer ${key}` };
      return (await fetch(`${url}/tokens`, { method: 'POST', headers })).status;
    };
    expect([await statusFor('sk-other'), await statusFor('sk-wrong')]).toEqual([200, 401]);
  });

  it('ends with 2 and every fault of its settings', async () => {
    const started = run({ SANDBOX_PORT: '70000', ASR_MODEL_DIR: '/models/paraformer' });
    const [code] = (await once(started.child, 'close')) as [number | null];
    expect(code).toBe(2);
    expect(started.err()).toMatch(/SANDBOX_PORT: found "70000"/);
    expect(started.err()).toMatch(/ASR_MODEL_DIR: this version has the captions recogniser only/);
  });
});
