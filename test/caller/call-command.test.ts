import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import type { CallReport } from '../../src/caller/call-report.ts';
import { UasStub } from './uas-stub.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command as its users do, in a process of its own. */
function call(args: readonly string[]): { done: Promise<Run>; interrupt: () => void } {
  const child = spawn(process.execPath, ['--import', 'tsx', 'workers/call.ts', ...args], { cwd: root });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  const done = once(child, 'close').then(([code]) => ({ code: Number(code), ...output }));
  return { done, interrupt: () => child.kill('SIGINT') };
}

const to = (stub: UasStub): string[] => ['--to', `sip:127.0.0.1:${stub.port}`];

/** 200 ms of silence: ten packets. */
const shortFile = fileURLToPath(new URL('./fixtures/short.alaw', import.meta.url));

test('wrong options end with 2 and are all named', async () => {
  const run = await call(['--loss', '2 %', '--nope', 'absent.wav']).done;
  expect(run.code).toBe(2);
  expect(run.stderr).toContain('--loss: found 2 %');
  expect(run.stderr).toContain('--nope: there is no such option');
  expect(run.stdout).toBe('');
});

test('a file that cannot be sent ends with 2 and the ffmpeg line', async () => {
  const run = await call(['package.json']).done;
  expect(run.code).toBe(2);
  expect(run.stderr).toContain('ffmpeg -i package.json -ar 8000 -c:a pcm_s16le package.8k.wav');
});

test('--help ends with 0', async () => {
  const run = await call(['--help']).done;
  expect(run.code).toBe(0);
  expect(run.stdout).toContain('--two-legs');
});

test('a refused call ends with 1 and says why', async () => {
  await using stub = await UasStub.open();
  stub.onRequest = (request) => {
    if (request.method === 'INVITE') {
      request.reply('503 Service Unavailable', { headers: ['Retry-After: 5'] });
    }
  };
  const run = await call([...to(stub), '--plain', shortFile]).done;
  expect(run.code).toBe(1);
  expect(run.stdout).toContain('the peer answered INVITE with 503 Service Unavailable, Retry-After 5');
});

test('--json prints one object: every call with its Call-ID, legs, counts and seed', async () => {
  await using stub = await UasStub.open();
  stub.takeCalls();
  const args = ['--two-legs', '--calls', '3', '--rate', '50', '--seed', '11', '--loss', '20%', '--json'];
  const run = await call([...to(stub), ...args, shortFile, shortFile]).done;
  expect(run).toMatchObject({ code: 0, stderr: '' });
  const { calls } = JSON.parse(run.stdout) as { calls: CallReport[] };
  expect(calls.map(({ seed }) => seed)).toEqual([11, 12, 13]);
  const invited = stub.requests
    .filter(({ method }) => method === 'INVITE')
    .map((invite) => invite.header('call-id'));
  expect(calls.map(({ callId }) => callId).sort()).toEqual(invited.sort());
  for (const { outcome, legs } of calls) {
    expect(outcome).toEqual({ kind: 'completed' });
    expect(legs).toMatchObject([
      { label: '1', codec: 'PCMA', packets: 10, lost: 2, packetsSent: 8 },
      { label: '2', codec: 'PCMA', packets: 10, lost: 2, packetsSent: 8 },
    ]);
  }
  expect(stub.packets).toHaveLength(3 * 2 * 8);
});

test('SIGINT hangs up in order and ends with 1', async () => {
  await using stub = await UasStub.open();
  stub.takeCalls();
  const running = call([...to(stub)]);
  await stub.request('ACK');
  running.interrupt();
  const run = await running.done;
  expect(run.code).toBe(1);
  expect(run.stdout).toContain('stopped');
  expect(stub.requests.map(({ method }) => method)).toEqual(['INVITE', 'ACK', 'BYE']);
});
