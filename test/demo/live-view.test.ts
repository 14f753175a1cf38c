import { PassThrough } from 'node:stream';

import { expect, test } from 'vitest';

import { LiveView } from '../../src/demo/live-view.ts';
import { newCallId, newLegId } from '../../src/ids.ts';
import type { TranscriptEvent } from '../../src/transcript/sentence.ts';

const callId = newCallId();
const agent = newLegId(callId);
const customer = newLegId(callId);

const partial = (legId: typeof agent, beginMs: number, text: string): TranscriptEvent => ({
  kind: 'partial',
  sentence: { callId, legId, legNo: 0, sentenceNo: 1, beginMs, text },
});

const final = (legId: typeof agent, beginMs: number, text: string): TranscriptEvent => ({
  kind: 'final',
  sentence: {
    callId,
    legId,
    tenant: 'default',
    webhooks: undefined,
    legNo: 0,
    sentenceNo: 1,
    beginMs,
    endMs: beginMs + 1_000,
    beginAt: new Date(0),
    endAt: new Date(0),
    text,
    words: [],
    emoTag: undefined,
    emoConfidence: undefined,
    asrTaskId: 'task',
    concealedMs: 0,
  },
});

/** A stream that keeps what is written, as a terminal of 60 columns or as a pipe. */
function screen(kind: 'terminal' | 'pipe'): { stream: NodeJS.WriteStream; written: () => string } {
  const stream = new PassThrough();
  const chunks: string[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  const isTTY = kind === 'terminal';
  Object.assign(stream, { isTTY, columns: 60, rows: 20, hasColors: () => false });
  return { stream: stream as unknown as NodeJS.WriteStream, written: () => chunks.join('') };
}

const speakerOf = (legId: typeof agent): { role: 'agent' | 'customer'; name: string | undefined } =>
  legId === agent ? { role: 'agent', name: '李娜' } : { role: 'customer', name: undefined };

function viewOn(
  kind: 'terminal' | 'pipe',
): ReturnType<typeof screen> & { view: LiveView; clock: { nowMs: number } } {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, wallTime: () => new Date(0) };
  const { stream, written } = screen(kind);
  return { stream, written, clock, view: new LiveView({ stream, clock, speakerOf }) };
}

test('without a terminal every final sentence is one plain line', () => {
  const { view, written } = viewOn('pipe');
  view.show(final(agent, 600, '您好。'));
  view.show(final(customer, 65_432, '你好。'));
  view.note('the call has ended');
  view.close();
  expect(written()).toBe('00:00.6  agent    李娜  您好。\n01:05.4  customer  你好。\nthe call has ended\n');
});

test('without a terminal a long sentence shows itself every two seconds, a short one only at its end', () => {
  const { view, written, clock } = viewOn('pipe');
  for (clock.nowMs = 0; clock.nowMs <= 4_500; clock.nowMs += 250) {
    view.show(partial(agent, 0, `${clock.nowMs}`));
  }
  view.show(final(agent, 0, '完'));
  view.show(partial(agent, 5_000, '又'));
  view.show(final(agent, 5_000, '又一句'));
  expect(written().split('\n')).toEqual([
    '00:00.0  agent    李娜  2000 …',
    '00:00.0  agent    李娜  4000 …',
    '00:00.0  agent    李娜  完',
    '00:05.0  agent    李娜  又一句',
    '',
  ]);
});

test('on a terminal what is being said runs below the final sentences', () => {
  const { view, written } = viewOn('terminal');
  view.show(partial(agent, 600, '您'));
  view.show(partial(customer, 700, '你'));
  view.show(final(agent, 600, '您好。'));
  view.close();
  const screenText = replay(written());
  expect(screenText).toEqual(['00:00.6  agent    李娜  您好。']);
});

test('on a terminal the running lines of both legs stand there until they are final', () => {
  const { view, written } = viewOn('terminal');
  view.show(final(agent, 600, '您好。'));
  view.show(partial(agent, 2_000, '请问'));
  view.show(partial(customer, 2_500, '我想'));
  view.show(partial(agent, 2_000, '请问有什么'));
  expect(replay(written())).toEqual([
    '00:00.6  agent    李娜  您好。',
    '00:02.0  agent    李娜  请问有什么 …',
    '00:02.5  customer  我想 …',
  ]);
});

test('a line of wide characters that is longer than the terminal leaves nothing behind', () => {
  const { view, written } = viewOn('terminal');
  view.show(partial(agent, 0, '很长'.repeat(30)));
  view.show(final(agent, 0, '短'));
  expect(replay(written())).toEqual(['00:00.0  agent    李娜  短']);
});

/** What stands on a terminal after the escapes that log-update uses; lines are cut as they were written. */
function replay(written: string): string[] {
  const lines = [''];
  let row = 0;
  const escape = String.fromCharCode(27);
  const pattern = new RegExp(`${escape}\\[([?\\d;]*)([A-Za-z])|\\n|\\r|[^${escape}\\n\\r]+`, 'gu');
  for (const [token, parameter, action] of written.matchAll(pattern)) {
    if (token === '\n') lines[(row += 1)] ??= '';
    else if (action === 'A') row -= Number(parameter === '' ? 1 : parameter);
    else if (action === 'B') row += Number(parameter === '' ? 1 : parameter);
    else if (action === 'K' && parameter === '2') lines[row] = '';
    else if (action === undefined && token !== '\r') lines[row] = `${lines[row] ?? ''}${token}`;
  }
  return lines.filter((line) => line !== '');
}
