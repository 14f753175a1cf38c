import { expect, it } from 'vitest';

import { decodeG711 } from '../../src/audio/g711.ts';
import { LegAudio } from '../../src/audio/leg-audio.ts';
import { codes } from '../support/rtp-stream.ts';

it('a leg is zero where packets were lost and where nothing was sent, and flushes at its end', () => {
  const chunks: Buffer[] = [];
  const audio = new LegAudio((pcm) => chunks.push(pcm));
  audio.audio('PCMU', codes(0, 200), 40, 200);
  audio.fill('loss', 160);
  audio.fill('silence', 480);
  audio.audio('PCMA', codes(800, 160), 0, 160);
  expect(chunks).toHaveLength(1);
  audio.end();

  const expected = Int16Array.from([
    ...decodeG711('PCMU', codes(40, 160)),
    ...new Int16Array(640),
    ...decodeG711('PCMA', codes(800, 160)),
  ]);
  expect(Buffer.concat(chunks)).toEqual(Buffer.from(expected.buffer));
});
