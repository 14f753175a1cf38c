import { crc32 as zlibCrc32 } from 'node:zlib';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { decodeG711 } from '../../src/audio/g711.ts';
import type { Caption } from '../../src/caption/caption.ts';
import { embedCaption } from '../../src/caption/embed.ts';
import { G711_LAWS } from '../../src/caption/law.ts';
import { type CaptionEvent, CaptionReader } from '../../src/caption/reader.ts';
import { crc32, crc32ByTable } from '../../src/crc32.ts';
import type { G711Law } from '../../src/rtp/payload-map.ts';

const greeting: Caption = {
  text: '您好，请问有什么可以帮您？',
  words: [
    { text: '您好', punctuation: '，', beginMs: 0, endMs: 480 },
    { text: '请问', punctuation: '', beginMs: 600, endMs: 980 },
    { text: '有什么可以帮您', punctuation: '？', beginMs: 980, endMs: 1990 },
  ],
};

function read(pcm: Int16Array, chunkSamples = pcm.length): CaptionEvent[] {
  const reader = new CaptionReader();
  const events: CaptionEvent[] = [];
  for (let at = 0; at < pcm.length; at += chunkSamples) {
    events.push(...reader.feed(pcm.subarray(at, at + chunkSamples)));
  }
  return [...events, ...reader.finish()];
}

/** Codes without any pattern of ours, the same on each run. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed >>> 0 || 1;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  });
}

const anyLaw = fc.constantFrom(...G711_LAWS);
const anyWord = fc.record({
  text: fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }),
  punctuation: fc.constantFrom('', '，', '。', '?'),
  beginMs: fc.nat(20_000),
  endMs: fc.nat(20_000),
});
const anyCaption = fc.record({
  text: fc.string({ unit: 'binary', maxLength: 40 }),
  words: fc.array(anyWord, { maxLength: 12 }),
});

describe('a caption in G.711 codes', () => {
  it.each(G711_LAWS)('comes back from decoded %s, with its place', (law) => {
    const codes = noise(40_000, 7);
    embedCaption(codes, law, { beginCode: 8_000, endCode: 24_000 }, greeting);

    expect(read(decodeG711(law, codes))).toEqual([
      { kind: 'sync', atCode: 8_000 },
      { kind: 'caption', beginCode: 8_000, endCode: 24_000, caption: greeting },
      { kind: 'end', endCode: 24_000, damaged: false },
    ]);
  });

  it('any text, any audio, both laws, any chunk borders', () => {
    fc.assert(
      fc.property(
        anyCaption,
        anyLaw,
        fc.integer(),
        fc.integer({ min: 1, max: 900 }),
        fc.nat(500),
        (caption, law, seed, chunkSamples, beginCode) => {
          const codes = noise(24_000, seed);
          embedCaption(codes, law, { beginCode, endCode: beginCode + 22_000 }, caption);
          const events = read(decodeG711(law, codes), chunkSamples);
          expect(events.slice(1)).toEqual([
            { kind: 'caption', beginCode, endCode: beginCode + 22_000, caption },
            { kind: 'end', endCode: beginCode + 22_000, damaged: false },
          ]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('changes each code by its lowest bit at most, and nothing outside the span', () => {
    const codes = noise(20_000, 3);
    const before = codes.slice();
    embedCaption(codes, 'PCMA', { beginCode: 100, endCode: 19_000 }, greeting);
    for (const [index, code] of codes.entries()) {
      const spoken = index >= 100 && index < 19_000;
      expect(code & (spoken ? 0xfe : 0xff)).toBe(before[index]! & (spoken ? 0xfe : 0xff));
    }
  });

  it('is read in silence, where mu-law has two codes for zero', () => {
    const codes = Uint8Array.from({ length: 20_000 }, (_, index) => (index % 2 === 0 ? 0xff : 0x7f));
    embedCaption(codes, 'PCMU', { beginCode: 0, endCode: 20_000 }, greeting);
    expect(read(decodeG711('PCMU', codes)).at(-1)).toEqual({ kind: 'end', endCode: 20_000, damaged: false });
  });

  it('follows another without a gap', () => {
    const codes = noise(40_000, 11);
    const second: Caption = { text: '好的。', words: [] };
    embedCaption(codes, 'PCMA', { beginCode: 0, endCode: 16_001 }, greeting);
    embedCaption(codes, 'PCMA', { beginCode: 16_001, endCode: 30_000 }, second);
    const captions = read(decodeG711('PCMA', codes)).filter((event) => event.kind !== 'sync');
    expect(captions).toEqual([
      { kind: 'caption', beginCode: 0, endCode: 16_001, caption: greeting },
      { kind: 'end', endCode: 16_001, damaged: false },
      { kind: 'caption', beginCode: 16_001, endCode: 30_000, caption: second },
      { kind: 'end', endCode: 30_000, damaged: false },
    ]);
  });

  it.each([
    ['a span before the first code', { beginCode: -1, endCode: 9_000 }],
    ['a span beyond the last code', { beginCode: 0, endCode: 9_001 }],
    ['a span that ends before it begins', { beginCode: 500, endCode: 400 }],
    ['a sentence too short for its caption', { beginCode: 0, endCode: 1_000 }],
    ['a fraction of a code', { beginCode: 0.5, endCode: 9_000 }],
  ])('refuses %s', (_case, span) => {
    const codes = new Uint8Array(9_000);
    expect(() => {
      embedCaption(codes, 'PCMU', span, greeting);
    }).toThrow(expect.objectContaining({ code: 'CAPTION_INVALID' }));
    expect(codes.every((code) => code === 0)).toBe(true);
  });

  it('refuses word times that are not whole milliseconds', () => {
    const word = { text: '好', punctuation: '', beginMs: 0.5, endMs: 2 };
    expect(() => {
      embedCaption(
        new Uint8Array(9_000),
        'PCMU',
        { beginCode: 0, endCode: 9_000 },
        { text: '好', words: [word] },
      );
    }).toThrow(expect.objectContaining({ code: 'CAPTION_INVALID' }));
  });
});

/** The sentence of the tests below: codes 4,000 to 28,000 of 36,000. */
function captioned(law: G711Law, seed = 5): Uint8Array {
  const codes = noise(36_000, seed);
  embedCaption(codes, law, { beginCode: 4_000, endCode: 28_000 }, greeting);
  return codes;
}

/** What a listener may conclude: every text it was given, and whether one was called whole. */
function verdict(events: readonly CaptionEvent[]): { texts: string[]; whole: number; noticed: boolean } {
  return {
    texts: events.flatMap((event) => (event.kind === 'caption' ? [event.caption.text] : [])),
    whole: events.filter((event) => event.kind === 'end' && !event.damaged).length,
    noticed: events.some((event) => event.kind === 'unreadable' || (event.kind === 'end' && event.damaged)),
  };
}

describe('a caption that was hit', () => {
  const PACKET = 160;

  it('is never called whole and never wrong, wherever one packet is filled with silence', () => {
    for (const law of G711_LAWS) {
      for (let packet = 25; packet < 175; packet += 1) {
        const pcm = decodeG711(law, captioned(law));
        pcm.fill(0, packet * PACKET, (packet + 1) * PACKET);
        const { texts, whole, noticed } = verdict(read(pcm));
        expect({ packet, law, whole, noticed }).toEqual({ packet, law, whole: 0, noticed: true });
        expect(texts).toEqual([greeting.text]);
      }
    }
  });

  it('stays whole when only its surroundings are hit', () => {
    const pcm = decodeG711('PCMA', captioned('PCMA'));
    pcm.fill(0, 0, 4_000);
    pcm.fill(0, 28_000);
    expect(verdict(read(pcm))).toEqual({ texts: [greeting.text], whole: 1, noticed: false });
  });

  it('is noticed when one single bit differs', () => {
    fc.assert(
      fc.property(anyLaw, fc.integer({ min: 4_000, max: 27_999 }), (law, at) => {
        const codes = captioned(law);
        codes[at]! ^= 1;
        const { texts, whole, noticed } = verdict(read(decodeG711(law, codes)));
        expect({ texts, whole, noticed }).toEqual({ texts: [greeting.text], whole: 0, noticed: true });
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ['cut out, so that the rest comes too early', (pcm: Int16Array) => splice(pcm, 12_000, PACKET, 0)],
    ['doubled, so that the rest comes too late', (pcm: Int16Array) => splice(pcm, 12_000, 0, PACKET)],
    ['swapped with the next', (pcm: Int16Array) => swap(pcm, 12_000)],
    ['the first', (pcm: Int16Array) => pcm.fill(0, 4_000, 4_160)],
    ['the last', (pcm: Int16Array) => pcm.fill(0, 27_840, 28_000)],
  ])('is noticed when a packet is %s', (_case, hit) => {
    for (const law of G711_LAWS) {
      const { texts, whole, noticed } = verdict(read(hit(decodeG711(law, captioned(law)))));
      expect({ texts, whole, noticed }).toEqual({ texts: [greeting.text], whole: 0, noticed: true });
    }
  });

  it('finds the end again after a packet was cut out', () => {
    const events = read(splice(decodeG711('PCMA', captioned('PCMA')), 12_000, PACKET, 0));
    expect(events.at(-1)).toEqual({ kind: 'end', endCode: 28_000 - PACKET, damaged: true });
  });

  it('keeps what was read, and says so, when the call ends inside the sentence', () => {
    const events = read(decodeG711('PCMU', captioned('PCMU')).subarray(0, 20_000));
    expect(events.at(-1)).toEqual({ kind: 'end', endCode: 20_000, damaged: true });
  });

  it('says unreadable when the call ends before one copy was whole', () => {
    const events = read(decodeG711('PCMU', captioned('PCMU')).subarray(0, 4_500));
    expect(events).toEqual([
      { kind: 'sync', atCode: 4_000 },
      { kind: 'unreadable', atCode: 4_000 },
    ]);
  });

  it('is not mixed with the caption of another call that breaks in', () => {
    const pcm = decodeG711('PCMA', captioned('PCMA'));
    const otherCodes = noise(36_000, 9);
    embedCaption(
      otherCodes,
      'PCMA',
      { beginCode: 4_000, endCode: 28_000 },
      { text: '别人的话。', words: [] },
    );
    pcm.set(decodeG711('PCMA', otherCodes).subarray(16_000), 16_000);
    const { texts, whole } = verdict(read(pcm));
    expect(texts).toEqual([greeting.text, '别人的话。']);
    expect(whole).toBe(0);
  });

  it('any loss: no other text than its own, and whole only if nothing inside was lost', () => {
    fc.assert(
      fc.property(
        anyLaw,
        fc.integer(),
        fc.array(fc.integer({ min: 0, max: 224 }), { maxLength: 60 }),
        fc.constantFrom('zeros', 'noise', 'repeat'),
        (law, seed, lost, fill) => {
          const pcm = decodeG711(law, captioned(law, seed));
          for (const packet of lost) {
            const at = packet * PACKET;
            if (fill === 'zeros') pcm.fill(0, at, at + PACKET);
            if (fill === 'noise') pcm.set(decodeG711(law, noise(PACKET, packet + 1)), at);
            if (fill === 'repeat' && at > 0) pcm.copyWithin(at, at - PACKET, at);
          }
          const hit = lost.some(
            (packet) => packet >= 25 && packet < 175 && !(fill === 'repeat' && packet === 0),
          );
          const { texts, whole } = verdict(read(pcm));
          expect(whole).toBe(hit ? 0 : 1);
          expect(texts.every((text) => text === greeting.text)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});

function splice(pcm: Int16Array, at: number, removed: number, doubled: number): Int16Array {
  const parts = [pcm.subarray(0, at + doubled), pcm.subarray(at + removed)];
  const whole = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  whole.set(parts[0]!, 0);
  whole.set(parts[1]!, parts[0]!.length);
  return whole;
}

function swap(pcm: Int16Array, at: number): Int16Array {
  const first = pcm.slice(at, at + 160);
  pcm.copyWithin(at, at + 160, at + 320);
  pcm.set(first, at + 160);
  return pcm;
}

describe('audio without a caption', () => {
  it.each([
    ['silence of mu-law', decodeG711('PCMU', new Uint8Array(80_000).fill(0xff))],
    ['silence of A-law', decodeG711('PCMA', new Uint8Array(80_000).fill(0xd5))],
    ['zeros that fill a gap', new Int16Array(80_000)],
    ['noise of mu-law', decodeG711('PCMU', noise(400_000, 21))],
    ['noise of A-law', decodeG711('PCMA', noise(400_000, 22))],
    ['PCM that was never G.711', Int16Array.from(noise(80_000, 23), (value) => value * 37 - 4_000)],
    ['a tone', Int16Array.from({ length: 80_000 }, (_, at) => Math.round(9_000 * Math.sin(at / 3)))],
  ])('gives no event: %s', (_case, pcm) => {
    expect(read(pcm)).toEqual([]);
  });
});

describe('crc32', () => {
  it('agrees with zlib and with the check value of its definition', () => {
    expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926);
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (before, bytes) => {
        for (const crc of [crc32, crc32ByTable]) {
          expect(crc(bytes, crc(before))).toBe(zlibCrc32(Buffer.concat([before, bytes])));
        }
      }),
    );
  });
});
