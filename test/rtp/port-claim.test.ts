import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { claimPorts } from '../../src/rtp/port-claim.ts';

let directory: string;
let other: ChildProcess;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-claims-'));
  other = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
  await once(other, 'spawn');
});
afterEach(async () => {
  other.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

/** What another process would have written. */
async function foreignClaim(claim: object): Promise<void> {
  await writeFile(join(directory, 'foreign.json'), JSON.stringify(claim));
}

async function begunOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

describe('claims on media ports', () => {
  it('of a running process overlap where one port is in both, and not beside it', async () => {
    const claim = { pid: other.pid, begun: await begunOf(other.pid!), firstPort: 20_000, lastPort: 24_999 };
    await foreignClaim({ ...claim, sipServer: 'edge:9022' });
    await using inside = await claimPorts({
      firstPort: 24_999,
      lastPort: 29_999,
      sipServer: undefined,
      directory,
    });
    expect(inside.overlapping).toEqual([expect.objectContaining({ pid: other.pid, sipServer: 'edge:9022' })]);
    await using beside = await claimPorts({
      firstPort: 25_000,
      lastPort: 29_999,
      sipServer: undefined,
      directory,
    });
    expect(beside.overlapping).toEqual([]);
  });

  it('of a process that is gone, or whose number another has by now, are forgotten', async () => {
    await foreignClaim({ pid: other.pid, begun: 'long ago', firstPort: 20_000, lastPort: 24_999 });
    await writeFile(join(directory, 'torn.json'), '{"pid":');
    const own = await claimPorts({ firstPort: 20_000, lastPort: 29_999, sipServer: undefined, directory });
    expect(own.overlapping).toEqual([]);
    expect(await readdir(directory)).toHaveLength(1);
    await own.release();
    expect(await readdir(directory)).toEqual([]);
  });

  it('of the own process never stand in its way', async () => {
    await using first = await claimPorts({ firstPort: 1, lastPort: 9, sipServer: undefined, directory });
    await using second = await claimPorts({ firstPort: 1, lastPort: 9, sipServer: undefined, directory });
    expect([...first.overlapping, ...second.overlapping]).toEqual([]);
  });
});
