import type { SeededRandom } from '../../src/seeded-random.ts';

/** Values that parsers stumble over. */
const NASTY = [
  '',
  '0',
  '-1',
  '255',
  '65535',
  '65536',
  '2147483647',
  '2147483648',
  '4294967296',
  '99999999999999999999',
  '1e9',
  'NaN',
  '%00',
  '%',
  '\0',
  '\r\n',
  '\n',
  '\r\n\r\n',
  '"',
  '\\',
  '<',
  '>',
  ';',
  ',',
  ':',
  '=',
  '@',
  ' ',
  '\t',
  '[::1]',
  '0.0.0.0',
  '255.255.255.255',
  '\u00ff\u00fe',
  '<!DOCTYPE a [<!ENTITY b "c">]>',
  '&b;',
  '<![CDATA[',
  ']]>',
  '--',
  'a=label:',
  'm=audio 0 RTP/AVP 0\r\n',
  'x'.repeat(300),
  'sip:',
  'sips:a@b',
  '__proto__',
  'constructor',
] as const;

export const pick = <T>(random: SeededRandom, from: readonly T[]): T =>
  from[Math.floor(random() * from.length)]!;
export const upTo = (random: SeededRandom, bound: number): number => Math.floor(random() * bound);

/** One to four changes to a text: of bytes, of tokens, of lines, or with pieces of another text. */
export function mutateText(random: SeededRandom, text: string, other: string): string {
  let changed = text;
  for (let changes = 1 + upTo(random, 4); changes > 0; changes -= 1) {
    changed = mutateOnce(random, changed, other);
  }
  return changed;
}

function mutateOnce(random: SeededRandom, text: string, other: string): string {
  const at = upTo(random, text.length + 1);
  const span = upTo(random, 40);
  const lines = text.split('\r\n');
  const line = upTo(random, lines.length);
  switch (upTo(random, 12)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode(upTo(random, 256)) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + text.slice(at + span);
    case 2:
      return text.slice(0, at) + pick(random, NASTY) + text.slice(at);
    case 3:
      return (
        text.slice(0, at) + text.slice(at, at + span).repeat(1 + upTo(random, 8)) + text.slice(at + span)
      );
    case 4:
      return text.slice(0, at);
    case 5:
      return [...lines.slice(0, line), ...lines.slice(line + 1)].join('\r\n');
    case 6:
      return [...lines.slice(0, line), lines[line]!, ...lines.slice(line)].join('\r\n');
    case 7: {
      const [moved] = lines.splice(line, 1);
      lines.splice(upTo(random, lines.length + 1), 0, moved ?? '');
      return lines.join('\r\n');
    }
    case 8: {
      const foreign = other.split('\r\n');
      lines.splice(line, upTo(random, 2), pick(random, foreign));
      return lines.join('\r\n');
    }
    case 9: {
      const from = upTo(random, other.length);
      return text.slice(0, at) + other.slice(from, from + span * 3) + text.slice(at + span);
    }
    case 10: {
      // A token of the text becomes another value.
      const tokens = [...text.matchAll(/[\w.+-]+/g)];
      if (tokens.length === 0) return text;
      const token = pick(random, tokens);
      return text.slice(0, token.index) + pick(random, NASTY) + text.slice(token.index + token[0].length);
    }
    default:
      return text.replace(/\d+/g, (number) => (random() < 0.1 ? pick(random, NASTY) : number));
  }
}

/** One to three changes to the bytes of a packet; now and then nothing of it is left. */
export function mutatePacket(random: SeededRandom, packet: Buffer): Buffer {
  let changed = Buffer.from(packet);
  for (let changes = 1 + upTo(random, 3); changes > 0; changes -= 1) {
    const at = upTo(random, Math.max(1, changed.length));
    switch (upTo(random, 7)) {
      case 0:
        if (changed.length > 0) changed[at] = upTo(random, 256);
        break;
      case 1:
        if (changed.length > 0) changed[Math.min(at, upTo(random, 12))] = upTo(random, 256);
        break;
      case 2:
        changed = changed.subarray(0, at);
        break;
      case 3:
        changed = Buffer.concat([changed, Buffer.alloc(upTo(random, 64), upTo(random, 256))]);
        break;
      case 4:
        if (changed.length >= 4) changed.writeUInt16BE(pick(random, [0, 1, 0x7fff, 0x8000, 0xffff]), 2);
        break;
      case 5:
        if (changed.length >= 8) {
          changed.writeUInt32BE(pick(random, [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]), 4);
        }
        break;
      default:
        changed = Buffer.from(Array.from({ length: upTo(random, 200) }, () => upTo(random, 256)));
    }
  }
  return changed;
}
