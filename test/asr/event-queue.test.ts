import { describe, expect, it } from 'vitest';

import { AsrEventQueue } from '../../src/asr/event-queue.ts';
import type { AsrEvent } from '../../src/asr/session.ts';

const STARTED: AsrEvent = { kind: 'started', taskId: 't' };
const partial = (text: string): AsrEvent => ({ kind: 'partial', taskId: 't', beginMs: 0, text });
const final = (text: string): AsrEvent => ({
  kind: 'final',
  taskId: 't',
  beginMs: 0,
  endMs: 1,
  text,
  words: [],
  emotion: undefined,
});

function queue(): { events: AsrEventQueue; abandoned: () => number } {
  let count = 0;
  return { events: new AsrEventQueue(() => (count += 1)), abandoned: () => count };
}

async function read(events: AsrEventQueue): Promise<string[]> {
  const read: string[] = [];
  for await (const event of events) read.push('text' in event ? event.text : 'started');
  return read;
}

describe('AsrEventQueue', () => {
  it('keeps the newest partial only for a reader that is late, and every final', async () => {
    const { events, abandoned } = queue();
    for (const event of [STARTED, partial('a'), partial('ab'), final('abc'), partial('d'), partial('de')]) {
      events.push(event);
    }
    events.end(undefined);
    expect(await read(events)).toEqual(['started', 'abc', 'de']);
    expect(abandoned()).toBe(0);
  });

  it('gives each event to a reader that waits for it', async () => {
    const { events } = queue();
    const iterator = events[Symbol.asyncIterator]();
    for (const text of ['a', 'ab']) {
      const next = iterator.next();
      events.push(partial(text));
      expect(await next).toEqual({ done: false, value: partial(text) });
    }
    const last = iterator.next();
    events.end(undefined);
    expect(await last).toEqual({ done: true, value: undefined });
  });

  it('throws the error behind what was said before it, and only the first end counts', async () => {
    const { events } = queue();
    events.push(final('kept'));
    events.end(new Error('first'));
    events.end(undefined);
    events.push(final('too late'));
    const iterator = events[Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ done: false, value: final('kept') });
    await expect(iterator.next()).rejects.toThrow('first');
  });

  it('refuses a second reader, and tells when the first one leaves', async () => {
    const { events, abandoned } = queue();
    events.push(STARTED);
    for await (const event of events) {
      expect(event).toBe(STARTED);
      break;
    }
    expect(abandoned()).toBe(1);
    expect(() => events[Symbol.asyncIterator]()).toThrow(TypeError);
  });
});
