import { XMLParser } from 'fast-xml-parser';
import { SyntaxValidator } from 'fast-xml-validator';

import { CallscribeError, toError } from '../errors.ts';

/** What a recording client tells about who speaks on which line (RFC 7865). Ids are opaque and may be empty. */
export interface RecordingMetadata {
  /** `complete` replaces what was known, `partial` adds to it. */
  readonly dataMode: 'complete' | 'partial';
  readonly participants: readonly Participant[];
  readonly streams: readonly MediaStream[];
  /** Who sends and who receives which stream. */
  readonly associations: readonly StreamAssociation[];
  /** Session ids, group ids and the call identifiers of the vendors' extensions. */
  readonly identifiers: readonly { readonly kind: string; readonly value: string }[];
  /** Whether the text had to be mended before it could be read. */
  readonly repaired: boolean;
}

export interface Participant {
  readonly id: string;
  readonly name: string | undefined;
  readonly aor: string | undefined;
  /** What an extension says of the participant's part in the call, such as `agent`. */
  readonly role: string | undefined;
}

export interface MediaStream {
  readonly id: string;
  readonly label: string | undefined;
}

export interface StreamAssociation {
  readonly participantId: string;
  readonly sends: readonly string[];
  readonly receives: readonly string[];
}

/** Larger metadata is not read. Real ones have two to ten KiB. */
export const METADATA_CHARACTERS_MAX = 262_144;

type XmlNode = Readonly<Record<string, unknown>>;

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  textNodeName: '#text',
  removeNSPrefix: true,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: true,
  processEntities: true,
});

/** Local names of extension elements that hold an id under which other systems know the call. */
const EXTENSION_IDENTIFIERS: Readonly<Record<string, string>> = {
  ucid: 'ucid',
  AvayaUCID: 'ucid',
  GenesysUUID: 'genesys-uuid',
  extTrackingID: 'broadworks-tracking-id',
  gcid: 'gcid',
};

/**
 * Reads recording metadata by local names, whatever the prefix, namespace or dialect: RFC 7865 proper, the
 * older `recording_metadata` root, inline `<send>` within a participant, and associations left out.
 *
 * @throws {CallscribeError} METADATA_MALFORMED when it is no XML even after mending, has a document type, or is
 *   larger than 256 Ki characters. The call goes on without it.
 */
export function readMetadata(text: string): RecordingMetadata {
  const xml = text.trim();
  if (xml.length > METADATA_CHARACTERS_MAX) {
    throw new CallscribeError(
      'METADATA_MALFORMED',
      `recording metadata: found ${xml.length} characters, expected at most ${METADATA_CHARACTERS_MAX}`,
    );
  }
  // Entities can be made to grow without end, and no recording client needs a document type.
  if (/<!DOCTYPE|<!ENTITY/i.test(xml)) {
    throw new CallscribeError(
      'METADATA_MALFORMED',
      'recording metadata: found a document type, expected none',
    );
  }
  const repaired = faultOf(xml) !== undefined;
  const root = parseRoot(repaired ? repair(xml) : xml);
  const session = children(root, 'session');
  const group = children(root, 'group');
  const participants = children(root, 'participant');

  return {
    dataMode:
      (childText(root, 'datamode') ?? childText(root, 'dataMode'))?.toLowerCase() === 'partial'
        ? 'partial'
        : 'complete',
    participants: participants.map(readParticipant),
    streams: children(root, 'stream').map((node) => ({
      id: idOf(node, 'stream_id'),
      label: childText(node, 'label'),
    })),
    associations: [
      ...children(root, 'participantstreamassoc').map((node) =>
        readAssociation(node, attribute(node, 'participant_id') ?? ''),
      ),
      ...participants
        .filter((node) => 'send' in node || 'recv' in node)
        .map((node) => readAssociation(node, idOf(node, 'participant_id'))),
    ],
    identifiers: [
      ...session.flatMap((node) => identifier('siprec-session-id', idOf(node, 'session_id'))),
      ...session.flatMap((node) => identifier('sip-session-id', childText(node, 'sipSessionID') ?? '')),
      ...group.flatMap((node) => identifier('siprec-group-id', idOf(node, 'group_id'))),
      ...extensionIdentifiers(root),
    ],
    repaired,
  };
}

function parseRoot(xml: string): XmlNode {
  const fault = faultOf(xml);
  if (fault !== undefined) {
    throw new CallscribeError('METADATA_MALFORMED', 'recording metadata: not well-formed XML', {
      cause: fault,
    });
  }
  const document: unknown = parser.parse(xml);
  const root = Object.entries(isNode(document) ? document : {}).find(([name]) =>
    /^recording/i.test(name),
  )?.[1];
  if (!isNode(root)) {
    throw new CallscribeError('METADATA_MALFORMED', 'recording metadata: found no <recording> element');
  }
  return root;
}

/** The parser itself takes almost anything, so well-formedness is asked of the validator first. */
function faultOf(xml: string): Error | undefined {
  try {
    SyntaxValidator.validate(xml);
    return undefined;
  } catch (error) {
    return toError(error);
  }
}

/** Two faults seen in the field: attribute values without quotes, and bytes behind the closing tag. */
function repair(xml: string): string {
  const end = /<\/(?:[\w.-]+:)?recording(?:_metadata)?\s*>/i.exec(xml);
  const cut = end === null ? xml : xml.slice(0, end.index + end[0].length);
  return cut.replace(/<[A-Za-z][^<>]*>/g, (tag) =>
    tag.replace(/(\s[\w:.-]+\s*=\s*)([^\s"'<>/=][^\s"'<>/]*)/g, '$1"$2"'),
  );
}

function readParticipant(node: XmlNode): Participant {
  const nameId = children(node, 'nameID')[0];
  return {
    id: idOf(node, 'participant_id'),
    name: nameId === undefined ? childText(node, 'name') : childText(nameId, 'name'),
    aor: (nameId === undefined ? undefined : attribute(nameId, 'aor')) ?? childText(node, 'aor'),
    role: findText(node, 'role', 0),
  };
}

function readAssociation(node: XmlNode, participantId: string): StreamAssociation {
  const ids = (name: string): string[] =>
    values(node, name).flatMap((value) => {
      const id = textOf(value) ?? (isNode(value) ? childText(value, 'id') : undefined);
      return id === undefined ? [] : [id];
    });
  return { participantId, sends: ids('send'), receives: ids('recv') };
}

function identifier(kind: string, value: string): { kind: string; value: string }[] {
  return value === '' ? [] : [{ kind, value }];
}

/** Vendors put their ids at different depths; the local name tells what they are. */
function extensionIdentifiers(root: XmlNode): { kind: string; value: string }[] {
  return Object.entries(EXTENSION_IDENTIFIERS).flatMap(([name, kind]) => {
    const value = findText(root, name, 0);
    // `00FA080012345678;encoding=hex` is the same UCID as the bare one.
    return value === undefined ? [] : identifier(kind, value.replace(/;encoding=\w+$/i, ''));
  });
}

const SEARCH_DEPTH_MAX = 8;

function findText(node: XmlNode, name: string, depth: number): string | undefined {
  const own = childText(node, name);
  if (own !== undefined || depth === SEARCH_DEPTH_MAX) return own;
  for (const [key, value] of Object.entries(node)) {
    if (key.startsWith('@')) continue;
    for (const child of Array.isArray(value) ? value : [value]) {
      const found = isNode(child) ? findText(child, name, depth + 1) : undefined;
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function isNode(value: unknown): value is XmlNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function values(node: XmlNode, name: string): readonly unknown[] {
  const value = node[name];
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as unknown[]) : [value];
}

/** An element without attributes and children arrives as its text; as a node it has nothing to tell but that. */
function children(node: XmlNode, name: string): readonly XmlNode[] {
  return values(node, name).map((value) => (isNode(value) ? value : { '#text': value }));
}

function textOf(value: unknown): string | undefined {
  const text = isNode(value) ? value['#text'] : value;
  return typeof text === 'string' && text.trim() !== '' ? text.trim() : undefined;
}

function childText(node: XmlNode, name: string): string | undefined {
  for (const value of values(node, name)) {
    const text = textOf(value);
    if (text !== undefined) return text;
  }
  return undefined;
}

function attribute(node: XmlNode, name: string): string | undefined {
  const value = node[`@${name}`];
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}

function idOf(node: XmlNode, name: string): string {
  return attribute(node, name) ?? attribute(node, 'id') ?? '';
}
