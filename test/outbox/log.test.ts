import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { silentLogger as logger } from '../../src/log.ts';
import { OutboxLog, type OutboxLogOptions } from '../../src/outbox/log.ts';
import { decodeRecords, encodeRecord } from '../../src/outbox/record.ts';

let directory: string;
const logs: OutboxLog[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-log-'));
});

afterEach(async () => {
  for (const log of logs.splice(0)) await log.close();
  await rm(directory, { recursive: true, force: true });
});

async function open(over: Partial<OutboxLogOptions> = {}): Promise<OutboxLog> {
  const log = await OutboxLog.open({ directory, logger, maxBytes: 1_000_000, commitPauseMs: 0, ...over });
  logs.push(log);
  return log;
}

async function all(log: OutboxLog): Promise<readonly string[]> {
  const texts: string[] = [];
  for (let no = log.firstNo; ;) {
    const { entries, nextNo } = await log.read(no, 7);
    if (nextNo === no) return texts;
    texts.push(...entries.map(({ text }) => text));
    no = nextNo;
  }
}

const words = (count: number): string[] => Array.from({ length: count }, (_, n) => `词 ${n}`);

describe('a log', () => {
  it('gives back what was appended, in order, also after it was closed', async () => {
    const log = await open({ segmentMaxBytes: 200 });
    for (const word of words(50)) {
      log.append(word);
      expect(await log.written()).toBe('written');
    }
    expect(await all(log)).toEqual(words(50));
    await log.close();
    expect((await readdir(directory)).length).toBeGreaterThan(3);
    expect(await all(await open())).toEqual(words(50));
  });

  it('gives nothing to read before it is on disk', async () => {
    const log = await open({ commitPauseMs: 20 });
    log.append('a');
    expect((await log.read(1, 10)).entries).toEqual([]);
    await log.written();
    expect((await log.read(1, 10)).entries).toEqual([{ no: 1, text: 'a' }]);
  });

  it('deletes what is acknowledged, and keeps the rest', async () => {
    const log = await open({ segmentMaxBytes: 100 });
    for (const word of words(30)) {
      log.append(word);
      await log.written();
    }
    const before = (await readdir(directory)).length;
    log.acknowledge(21);
    await log.close();
    expect((await readdir(directory)).length).toBeLessThan(before);
    const again = await open();
    expect(again.firstNo).toBeLessThanOrEqual(21);
    expect((await all(again)).slice(-10)).toEqual(words(30).slice(20));
  });

  it('leaves no word on disk when everything is acknowledged', async () => {
    const log = await open();
    log.append('您好');
    await log.written();
    log.acknowledge(2);
    await log.close();
    expect(await readdir(directory)).toEqual([]);
  });

  it('refuses the newest at the bound, and takes again when there is room', async () => {
    const log = await open({ maxBytes: 300, segmentMaxBytes: 100 });
    const taken: string[] = [];
    for (const word of words(40)) {
      if (log.append(word) === 'full') break;
      taken.push(word);
      await log.written();
    }
    expect(taken.length).toBeLessThan(40);
    expect(await all(log)).toEqual(taken);
    log.acknowledge(log.nextNo);
    await log.written();
    for (let turn = 0; turn < 100 && log.bytes > 200; turn += 1) await stat(directory);
    expect(log.append('more')).toBe('taken');
  });

  it.each([0, 1, 5, 20])(
    'drops a line that was cut after %d of its bytes, and goes on after it',
    async (left) => {
      const log = await open();
      for (const word of ['a', 'b', 'c']) log.append(word);
      await log.written();
      await log.close();
      const [name] = await readdir(directory);
      const path = join(directory, name!);
      const last = encodeRecord({ no: 3, text: 'c' }).length;
      await truncate(path, (await stat(path)).size - last + Math.min(left, last - 1));
      const again = await open();
      expect(await all(again)).toEqual(['a', 'b']);
      again.append('d');
      await again.written();
      expect(await all(again)).toEqual(['a', 'b', 'd']);
      expect(again.damaged).toBe(0);
    },
  );

  it('passes over a line that the disk has changed, and says so', async () => {
    const log = await open();
    for (const word of ['a', 'b', 'c']) log.append(word);
    await log.written();
    await log.close();
    const [name] = await readdir(directory);
    const bytes = await readFile(join(directory, name!));
    bytes[bytes.indexOf('b\n')]! ^= 1;
    const copy = join(directory, 'copy');
    await mkdir(copy);
    await writeFile(join(copy, name!), bytes);
    const again = await open({ directory: copy });
    expect(await all(again)).toEqual(['a', 'c']);
    expect(again.damaged).toBe(1);
  });

  it('goes on in memory while the disk refuses, and writes it when the disk takes it again', async () => {
    const away = join(directory, 'mount');
    const log = await open({ directory: away, segmentMaxBytes: 10 });
    log.append('a');
    expect(await log.written()).toBe('written');
    await rm(away, { recursive: true });
    log.append('b');
    log.append('c');
    expect(await log.written()).toBe('memory');
    expect(log.disk).toBe('refuses');
    expect((await log.read(2, 10)).entries.map(({ text }) => text)).toEqual(['b', 'c']);
    await mkdir(away);
    for (let turn = 0; turn < 500 && log.disk === 'refuses'; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(await log.written()).toBe('written');
    await log.close();
    expect(await all(await open({ directory: away }))).toEqual(['b', 'c']);
  });

  it('does not count back when its last files are empty', async () => {
    const log = await open();
    for (const word of ['a', 'b']) log.append(word);
    await log.written();
    await log.close();
    const [name] = await readdir(directory);
    await truncate(join(directory, name!), 0);
    await copyFile(join(directory, name!), join(directory, '000000000003.log'));
    const again = await open();
    expect([again.firstNo, again.nextNo]).toEqual([1, 3]);
    expect(await all(again)).toEqual([]);
  });
});

it('reads any bytes without a fault', () => {
  for (const text of ['', '\n', '\n\n', 'deadbeef 1 x\n', '00000000 \n', 'x'.repeat(100)]) {
    expect(decodeRecords(Buffer.from(text)).entries).toEqual([]);
  }
});
