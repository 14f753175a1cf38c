import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { BusListener } from '../../src/bus/bus.ts';
import { MailboxCounts } from '../../src/voicemail/mailbox-counts.ts';
import { MAILBOX_NEWS, MAILBOX_QUESTIONS } from '../../src/voicemail/mailbox-news.ts';

const ADDRESS = { tenant: 'acme', mailbox: '1001' };

let asked: unknown[];
let listener: BusListener;
let counts: MailboxCounts;
let clock = 0;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  asked = [];
  clock = 0;
  counts = await MailboxCounts.open({
    publish: (channel, message) => asked.push([channel, JSON.parse(message)]),
    subscribe: (channel, heard) => {
      expect(channel).toBe(MAILBOX_NEWS);
      listener = heard;
      return Promise.resolve(() => Promise.resolve());
    },
  });
});
afterEach(async () => {
  await counts.close();
  vi.useRealTimers();
});

function told(
  newCount: number,
  heardCount: number,
  { at = (clock += 1), ...address } = { ...ADDRESS } as Told,
): void {
  const asOf = `2026-11-23T00:00:00.${String(at).padStart(6, '0')}Z`;
  listener.onMessage(JSON.stringify({ ...ADDRESS, ...address, newCount, heardCount, asOf }));
}
type Told = Partial<typeof ADDRESS> & { at?: number };

function follow(address = ADDRESS): {
  readonly seen: string[];
  readonly ask: () => void;
  readonly stop: () => void;
} {
  const seen: string[] = [];
  const following = counts.follow(address, ({ newCount, heardCount }) =>
    seen.push(`${newCount}/${heardCount}`),
  );
  return { seen, ...following };
}

describe('the counts of a mailbox', () => {
  it('are asked for, and told when they are others', () => {
    const { seen } = follow();
    expect(asked).toEqual([[MAILBOX_QUESTIONS, ADDRESS]]);
    told(2, 0);
    told(2, 0);
    told(1, 1);
    told(7, 7, { mailbox: '1002' });
    told(8, 8, { tenant: 'other' });
    expect(seen).toEqual(['2/0', '1/1']);
  });

  it('that are older than those known are left out', () => {
    const { seen } = follow();
    told(2, 0, { at: 5 });
    told(1, 0, { at: 4 });
    expect(seen).toEqual(['2/0']);
  });

  it('are known at once to whoever follows next', () => {
    follow();
    told(2, 0);
    expect(follow().seen).toEqual(['2/0']);
  });

  it('are asked for again until they come, again on demand, and after news may have been lost', () => {
    const { seen, ask } = follow();
    vi.advanceTimersByTime(4_000);
    expect(asked).toHaveLength(3);
    told(2, 0);
    vi.advanceTimersByTime(60_000);
    expect(asked).toHaveLength(3);
    ask();
    expect(asked).toHaveLength(4);
    told(2, 0);
    listener.onLost();
    vi.advanceTimersByTime(2_000);
    expect(asked).toHaveLength(5);
    told(3, 0);
    expect(seen).toEqual(['2/0', '3/0']);
  });

  it('are asked for in turn where there are many', () => {
    for (let number = 0; number < 250; number += 1) follow({ tenant: 'acme', mailbox: String(number) });
    asked.length = 0;
    vi.advanceTimersByTime(6_000);
    expect(asked).toHaveLength(300);
    expect(new Set(asked.map((question) => JSON.stringify(question))).size).toBe(250);
  });

  it('are nobody’s when all have gone', () => {
    const one = follow();
    const other = follow();
    one.stop();
    one.stop();
    told(1, 0);
    expect([one.seen, other.seen]).toEqual([[], ['1/0']]);
    other.stop();
    const anew = follow();
    other.stop();
    expect(anew.seen).toEqual([]);
    told(2, 0);
    expect(anew.seen).toEqual(['2/0']);
    asked.length = 0;
    other.ask();
    vi.advanceTimersByTime(10_000);
    expect(asked).toEqual([]);
  });

  it('are not mistaken for something else', () => {
    const { seen } = follow();
    for (const message of [
      '',
      '{}',
      'null',
      JSON.stringify({ ...ADDRESS, newCount: -1, heardCount: 0, asOf: '' }),
    ]) {
      listener.onMessage(message);
    }
    expect(seen).toEqual([]);
  });
});
