import fc from 'fast-check';
import { expect, it } from 'vitest';

import { AudioFrames } from '../../src/dashscope/audio-frames.ts';

it('any pieces: the frames joined are the audio, each of the size but the last', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 })),
      fc.integer({ min: 1, max: 16 }),
      (pieces, size) => {
        const frames = new AudioFrames(size);
        const cut = pieces.flatMap((piece) => frames.push(Buffer.from(piece)));
        const waiting = frames.waitingBytes;
        const last = frames.flush();
        expect(cut.every((frame) => frame.length === size)).toBe(true);
        expect(last?.length ?? 0).toBe(waiting);
        expect(waiting).toBeLessThan(size);
        expect(Buffer.concat([...cut, ...(last === undefined ? [] : [last])])).toEqual(
          Buffer.concat(pieces.map((piece) => Buffer.from(piece))),
        );
      },
    ),
  );
});

it('passes a piece of the right size on without a copy', () => {
  const piece = Buffer.alloc(1_600);
  expect(new AudioFrames(1_600).push(piece)[0]).toBe(piece);
});

it('has nothing left after a flush', () => {
  const frames = new AudioFrames(4);
  frames.push(Buffer.alloc(3));
  frames.flush();
  expect([frames.waitingBytes, frames.flush()]).toEqual([0, undefined]);
});
