import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Packer, Unpacker } from '../../src/bus/packets.ts';

const PACKET_MAX_BYTES = 120;
const line = fc.string({ unit: 'grapheme', maxLength: 200 }).map((text) => text.replaceAll('\n', ' '));

function read(unpacker: Unpacker, packets: readonly string[]): { messages: string[]; holes: number } {
  const unpacked = packets.map((packet) => unpacker.unpack(packet)!);
  return {
    messages: unpacked.flatMap(({ messages }) => messages),
    holes: unpacked.filter(({ isAfterHole }) => isAfterHole).length,
  };
}

describe('packets of the bus', () => {
  it('carry any lines, of several senders at once, each in order, and none is longer than the bound', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(line), { maxLength: 4 }),
        fc.array(fc.array(line)),
        (ofFirst, ofSecond) => {
          const [first, second] = [
            new Packer('first', PACKET_MAX_BYTES),
            new Packer('second', PACKET_MAX_BYTES),
          ];
          const packets = [
            ...ofFirst.flatMap((messages) => first.pack(messages)),
            ...ofSecond.flatMap((messages) => second.pack(messages)),
          ];
          for (const packet of packets) {
            expect(Buffer.byteLength(packet)).toBeLessThanOrEqual(PACKET_MAX_BYTES);
          }
          const all = read(new Unpacker(10_000), packets);
          expect(all).toEqual({ messages: [...ofFirst.flat(), ...ofSecond.flat()], holes: 0 });
        },
      ),
    );
  });

  it('tell of every packet that is missing, and give only whole messages of what came', () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1 }), fc.nat(), (messages, pick) => {
        const packets = [...new Packer('a', PACKET_MAX_BYTES).pack(messages)];
        const missing = pick % packets.length;
        packets.splice(missing, 1);
        const found = read(new Unpacker(10_000), packets);
        // After the last one nothing tells.
        expect(found.holes).toBe(missing === packets.length ? 0 : 1);
        const rest = [...messages];
        for (const message of found.messages) {
          const at = rest.indexOf(message);
          expect(at).toBeGreaterThanOrEqual(0);
          rest.splice(0, at + 1);
        }
      }),
    );
  });

  it('hold many small messages each', () => {
    const messages = Array.from({ length: 30 }, (_, no) => `m${no}`);
    expect(new Packer('a', 7_900).pack(messages)).toHaveLength(1);
  });

  it('may be empty, and tell of a hole nevertheless', () => {
    const [packer, unpacker] = [new Packer('a', 7_900), new Unpacker(100)];
    expect(read(unpacker, packer.pack(['one']))).toEqual({ messages: ['one'], holes: 0 });
    packer.leaveHole();
    expect(read(unpacker, packer.pack([]))).toEqual({ messages: [], holes: 1 });
  });

  it('give no message that is longer than the reader takes', () => {
    const packets = new Packer('a', PACKET_MAX_BYTES).pack(['x'.repeat(1_000), 'after']);
    expect(read(new Unpacker(500), packets).messages).toEqual(['after']);
  });

  it.each(['', 'a', 'a 0', 'a x', 'a 1\n', 'a 1\nno mark', 'a b 1', `${'s'.repeat(21)} 1`])(
    'that others wrote are no packets: %j',
    (text) => {
      expect(new Unpacker(100).unpack(text)).toBeUndefined();
    },
  );
});
