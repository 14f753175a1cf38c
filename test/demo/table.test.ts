import { expect, test } from 'vitest';

import { timeText } from '../../src/demo/speaker.ts';
import { transcriptTable } from '../../src/demo/table.ts';

test('columns stand under each other, though Chinese characters are two columns wide', () => {
  const table = transcriptTable(
    [
      { speaker: { role: 'agent', name: '李娜' }, beginMs: 600, text: '您好。', emoTag: 'neutral' },
      { speaker: { role: 'customer', name: undefined }, beginMs: 61_000, text: 'ok', emoTag: null },
    ],
    { colours: 'off' },
  );
  const [, head, first, second] = table.split('\n');
  expect(head).toBe('│ time    │ who        │ text   │ emotion │');
  expect(first).toBe('│ 00:00.6 │ agent 李娜 │ 您好。 │ neutral │');
  expect(second).toBe('│ 01:01.0 │ customer   │ ok     │ -       │');
});

test('colours are there when asked', () => {
  const row = { speaker: { role: 'agent', name: undefined }, beginMs: 0, text: 'a', emoTag: null } as const;
  expect(transcriptTable([row], { colours: 'on' })).toContain('\u001b[36magent');
  expect(transcriptTable([row], { colours: 'off' })).not.toContain('\u001b');
});

test.each([
  [0, '00:00.0'],
  [59_999, '00:59.9'],
  [60_000, '01:00.0'],
  [6_000_000, '100:00.0'],
])('%i ms is %s', (ms, text) => {
  expect(timeText(ms)).toBe(text);
});
