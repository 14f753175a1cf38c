import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { encodeFrame, FRAME_MAX_BYTES, FrameDecoder } from '../../src/edge/wire-frame.ts';
import { CallscribeError } from '../../src/errors.ts';

describe('FrameDecoder', () => {
  it('gives the same frames however the stream is cut', () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 });
    fc.assert(
      fc.property(payloads, fc.array(fc.nat({ max: 40 })), (written, cuts) => {
        const stream = Buffer.concat(written.map(encodeFrame));
        const decoder = new FrameDecoder();
        const read: Buffer[] = [];
        let from = 0;
        for (const cut of [...cuts, stream.length]) {
          read.push(...decoder.push(stream.subarray(from, from + cut)));
          from += cut;
        }
        expect(read.map((frame) => frame.toString('hex'))).toEqual(
          written.map((payload) => Buffer.from(payload).toString('hex')),
        );
      }),
    );
  });

  it('counts bytes, not characters', () => {
    const payload = Buffer.from('id|sip||\r\n你好', 'utf8');
    expect(encodeFrame(payload).toString('utf8')).toBe(`${payload.length}#id|sip||\r\n你好`);
    expect(new FrameDecoder().push(encodeFrame(payload))).toEqual([payload]);
  });

  it('takes a payload as long as five digits can say', () => {
    const payload = Buffer.alloc(FRAME_MAX_BYTES, 'x');
    expect(new FrameDecoder().push(encodeFrame(payload))[0]).toHaveLength(FRAME_MAX_BYTES);
  });

  it.each([
    ['six digits', '100000#'],
    ['six digits without their end', '100000'],
    ['no digit', '#abc'],
    ['letters', 'abc#abc'],
    ['a sign', '-3#abc'],
  ])('refuses %s as a length', (_, text) => {
    expect(() => new FrameDecoder().push(Buffer.from(text))).toThrow(CallscribeError);
  });
});
