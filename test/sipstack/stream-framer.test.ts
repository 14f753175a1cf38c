import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CallscribeError } from '../../src/errors.ts';
import { StreamFramer } from '../../src/sipstack/stream-framer.ts';

const message = (body: Buffer, name = 'Content-Length'): Buffer =>
  Buffer.concat([Buffer.from(`OPTIONS sip:a SIP/2.0\r\nX: y\r\n${name}: ${body.length}\r\n\r\n`), body]);

function frame(chunks: readonly Uint8Array[], messageMaxBytes = 1_000): string[] {
  const framer = new StreamFramer({ messageMaxBytes });
  const framed: string[] = [];
  for (const chunk of chunks) {
    framer.push(chunk, (item) => {
      framed.push(item.kind === 'ping' ? 'ping' : item.bytes.toString('latin1'));
    });
  }
  return framed;
}

describe('StreamFramer', () => {
  it('cuts the same messages and pings however the stream is chunked', () => {
    const ping = Buffer.from('\r\n\r\n');
    const item = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((body) => message(Buffer.from(body))),
      fc.constant(ping),
    );
    fc.assert(
      fc.property(
        fc.array(item, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 30 })),
        (items, cuts) => {
          const stream = Buffer.concat(items);
          const chunks: Buffer[] = [];
          let from = 0;
          for (const cut of [...cuts, stream.length]) {
            chunks.push(stream.subarray(from, from + cut));
            from += cut;
          }
          expect(frame(chunks)).toEqual(
            items.map((bytes) => (bytes === ping ? 'ping' : bytes.toString('latin1'))),
          );
        },
      ),
    );
  });

  it('counts bytes, not characters', () => {
    const body = Buffer.from('坐席');
    expect(frame([message(body), message(Buffer.from('x'))])).toHaveLength(2);
  });

  it.each(['l', 'CONTENT-LENGTH', 'content-length'])('knows the length as %s', (name) => {
    expect(frame([message(Buffer.from('abc'), name), message(Buffer.alloc(0))])).toHaveLength(2);
  });

  it('takes a message without a length to have no body', () => {
    expect(frame([Buffer.from('OPTIONS sip:a SIP/2.0\r\n\r\nNEXT sip:b SIP/2.0\r\n\r\n')])).toEqual([
      'OPTIONS sip:a SIP/2.0\r\n\r\n',
      'NEXT sip:b SIP/2.0\r\n\r\n',
    ]);
  });

  it('waits quietly for the second half of a ping', () => {
    expect(frame([Buffer.from('\r\n\r'), Buffer.from('\n')])).toEqual(['ping']);
    expect(frame([Buffer.from('\r'), Buffer.from('\n'), message(Buffer.alloc(0))])).toHaveLength(1);
  });

  it('does not take the padding around a message for a ping', () => {
    const padded = Buffer.concat([Buffer.from('\r\n'), message(Buffer.alloc(0)), Buffer.from('\r\n')]);
    expect(frame([padded, Buffer.from('\r\n')])).toEqual([message(Buffer.alloc(0)).toString(), 'ping']);
  });

  it.each([
    ['whose head does not end', 'x'.repeat(101)],
    ['whose announced end lies beyond', 'A b SIP/2.0\r\nContent-Length: 90\r\n\r\n'],
    ['whose length is no number', 'A b SIP/2.0\r\nContent-Length: -1\r\n\r\n'],
    ['whose length is missing', 'A b SIP/2.0\r\nContent-Length:\r\n\r\n'],
  ])('gives up a stream with a message %s', (_, text) => {
    expect(() => frame([Buffer.from(text)], 100)).toThrow(CallscribeError);
  });
});
