import { XMLParser } from 'fast-xml-parser';
import { SyntaxValidator } from 'fast-xml-validator';

import { CallscribeError, toError } from '../errors.ts';

/** One element. Names are local and in lower case: prefixes, namespaces and spelling differ in the field. */
export interface XmlElement {
  readonly name: string;
  /** In lower case; empty where there is none. Tells vendors' extensions apart. */
  readonly prefix: string;
  /** By local name in lower case, trimmed. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** Its own text, trimmed; empty where it has none. */
  readonly text: string;
}

export interface MetadataDocument {
  /** `recording`, or `recording_metadata` of the older dialect. */
  readonly root: XmlElement;
  /** Whether the text had to be mended before it could be read. */
  readonly repaired: boolean;
}

/** Larger metadata is not read. Real ones have two to ten KiB. */
export const METADATA_CHARACTERS_MAX = 262_144;

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: true,
  // Done by `decode`: the library leaves numeric references alone, and names come as such.
  processEntities: false,
});

/**
 * Reads a metadata document, mended where it is not well-formed.
 *
 * @throws {CallscribeError} METADATA_MALFORMED when it is no XML even after mending, has a document type, is
 *   larger than 256 Ki characters, or has no element `recording…` on top
 */
export function readMetadataXml(text: string): MetadataDocument {
  if (text.length > METADATA_CHARACTERS_MAX) {
    throw malformed(`found ${text.length} characters, expected at most ${METADATA_CHARACTERS_MAX}`);
  }
  // Entities can be made to grow without end, and no recording client needs a document type.
  if (/<!DOCTYPE|<!ENTITY/i.test(text)) throw malformed('found a document type, expected none');
  const xml = text.trim();
  const asSent = parse(xml);
  const tree = asSent instanceof Error ? parse(repair(xml)) : asSent;
  if (tree instanceof Error) throw malformed('not well-formed XML', tree);
  const root = tree.map(toElement).find((element) => element?.name.startsWith('recording'));
  if (root === undefined) throw malformed('found no <recording> element');
  return { root, repaired: asSent instanceof Error };
}

function malformed(found: string, cause?: Error): CallscribeError {
  return new CallscribeError('METADATA_MALFORMED', `recording metadata: ${found}`, { cause });
}

/** The parser itself takes almost anything, so well-formedness is asked of the validator first. */
function parse(xml: string): readonly unknown[] | Error {
  try {
    SyntaxValidator.validate(xml);
    const tree: unknown = parser.parse(xml);
    return Array.isArray(tree) ? (tree as unknown[]) : new Error('no document');
  } catch (error) {
    return toError(error);
  }
}

/**
 * Faults seen in the field: bytes before the first tag and behind the closing one, control characters, bare
 * ampersands, attribute values without quotes.
 */
function repair(xml: string): string {
  const begin = xml.search(/<\?xml|<(?:[\w.-]+:)?recording/i);
  const end = /<\/(?:[\w.-]+:)?recording(?:_metadata)?\s*>/i.exec(xml);
  return xml
    .slice(Math.max(0, begin), end === null ? undefined : end.index + end[0].length)
    .replace(CONTROL_CHARACTERS, '')
    .replace(/&(?!(?:#\d{1,7}|#x[\da-f]{1,6}|\w{1,8});)/gi, '&amp;')
    .replace(/<[A-Za-z][^<>]*>/g, (tag) =>
      tag.replace(
        /(\s[\w:.-]+\s*=\s*)(?:("[^"]*"|'[^']*')|([^\s"'<>]+?)(?=\s|\/?>))/g,
        (_whole, name: string, quoted: string | undefined, bare: string | undefined) =>
          `${name}${quoted ?? `"${bare ?? ''}"`}`,
      ),
    );
}

// eslint-disable-next-line no-control-regex -- these are what is looked for
const CONTROL_CHARACTERS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g;

/** @returns undefined for text, comments and declarations */
function toElement(node: unknown): XmlElement | undefined {
  if (!isRecord(node)) return undefined;
  const found = Object.entries(node).find(([key]) => key !== ':@');
  if (found === undefined || !Array.isArray(found[1]) || !/^[a-z_]/i.test(found[0])) return undefined;
  const inner = found[1] as unknown[];
  const attributes = isRecord(node[':@']) ? node[':@'] : {};
  return {
    ...splitName(found[0]),
    attributes: new Map(
      Object.entries(attributes)
        .filter(([name]) => !/^xmlns/i.test(name))
        .map(([name, value]) => [
          splitName(name).name,
          typeof value === 'string' ? decode(value).trim() : '',
        ]),
    ),
    children: inner.map(toElement).filter((child) => child !== undefined),
    text: inner
      .map((child) => (isRecord(child) && typeof child['#text'] === 'string' ? decode(child['#text']) : ''))
      .join(' ')
      .trim(),
  };
}

function splitName(qualified: string): { name: string; prefix: string } {
  const colon = qualified.indexOf(':');
  return {
    name: qualified.slice(colon + 1).toLowerCase(),
    prefix: colon === -1 ? '' : qualified.slice(0, colon).toLowerCase(),
  };
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
]);

function decode(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(lt|gt|amp|quot|apos));/gi, (whole, ...groups) => {
    const [decimal, hex, name] = groups as (string | undefined)[];
    if (name !== undefined) return ENTITIES.get(name.toLowerCase()) ?? whole;
    const code = decimal === undefined ? parseInt(hex ?? '', 16) : Number(decimal);
    // Postgres takes no NUL in text, and a lone surrogate is no character.
    return code === 0 || code > 0x10_ffff || (code >= 0xd800 && code <= 0xdfff)
      ? ''
      : String.fromCodePoint(code);
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The element's children of that local name, in lower case. */
export function childrenOf(element: XmlElement, ...names: readonly string[]): readonly XmlElement[] {
  return element.children.filter(({ name }) => names.includes(name));
}

/** The first text that is not empty among the children of one of the names. */
export function textOf(element: XmlElement, ...names: readonly string[]): string | undefined {
  return childrenOf(element, ...names).find(({ text }) => text !== '')?.text;
}

/** An attribute that is there and not empty, the first of the names that has one. */
export function attributeOf(element: XmlElement, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = element.attributes.get(name);
    if (value !== undefined && value !== '') return value;
  }
  return undefined;
}
