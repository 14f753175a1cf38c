import { localName } from './metadata-extensions.ts';
import type { RecordingMetadata } from './rs-metadata.ts';

/** An id by which a CRM may know the call: `sip-call-id`, `ucid`, `siprec-session-id`, … */
export interface CallIdentifier {
  readonly kind: string;
  readonly value: string;
}

/** One header line, name in lower case. */
export interface HeaderLine {
  readonly name: string;
  readonly value: string;
}

const KIND_CHARACTERS_MAX = 64;
const VALUE_CHARACTERS_MAX = 512;
const HEADER_LINES_MAX = 256;
/** A header value is looked at no further. */
const HEADER_CHARACTERS_MAX = 4_096;

/** Headers whose value is an id as it stands, or holds one; other `X-` headers keep their name as kind. */
const HEADER_KINDS: ReadonlyMap<string, string> = new Map([
  ['call-id', 'sip-call-id'],
  ['i', 'sip-call-id'],
  ['session-id', 'sip-session-id'],
  ['user-to-user', 'user-to-user'],
  ['cisco-guid', 'cisco-guid'],
  ['x-audc-call-id', 'audiocodes-call-id'],
  ['x-genesys-calluuid', 'genesys-uuid'],
  ['x-broadworks-correlation-info', 'broadworks-correlation'],
  ['x-call-id', 'x-call-id'],
  ['x-callid', 'x-call-id'],
  ['p-charging-vector', 'icid'],
  ['p-rc-api-ids', 'p-rc-api-ids'],
  ['p-rc-api-monitoring-ids', 'p-rc-api-monitoring-ids'],
]);

/** `X-` headers that say something else than an id. */
const NO_IDENTIFIERS = new Set(['x-ac-action', 'x-cisco-recording-participant', 'x-requested-with']);

/** Extension elements by local name in lower case; others are kept as `prefix:name`. */
const EXTENSION_KINDS: ReadonlyMap<string, string> = new Map([
  ['ucid', 'ucid'],
  ['avayaucid', 'ucid'],
  ['genesysuuid', 'genesys-uuid'],
  ['exttrackingid', 'broadworks-tracking-id'],
  ['gcid', 'gcid'],
]);

/** Extensions that tell who or what, not which call: found by roles and direction instead. */
const NO_IDENTIFIER_EXTENSIONS =
  /(?:hdr|header|name|number|uri|type|direction|realm|role|time|date|mode|state|reason|party|orig|term|version|seq)$/;

/** @param raw the whole message; at most 256 header lines are looked at */
export function readHeaderLines(raw: string): readonly HeaderLine[] {
  const head = raw.split(/\r?\n\r?\n/, 1)[0] ?? '';
  return head
    .replace(/\r?\n[ \t]+/g, ' ')
    .split(/\r?\n/, HEADER_LINES_MAX)
    .flatMap((line) => {
      const match = /^([\w.!%*+`'~-]+)\s*:\s*(.*)$/.exec(line);
      return match === null ? [] : [{ name: (match[1] ?? '').toLowerCase(), value: (match[2] ?? '').trim() }];
    });
}

/** The ids that a request's headers carry. Pure; bounded by {@link IdentifierSet}. */
export function identifiersOfHeaders(lines: readonly HeaderLine[]): readonly CallIdentifier[] {
  return lines.flatMap(({ name, value: whole }) => {
    const value = whole.slice(0, HEADER_CHARACTERS_MAX);
    if (name === 'from' || name === 'f') return identifiersOfForkedMedia(value);
    const kind = HEADER_KINDS.get(name) ?? (/^x-/.test(name) && !NO_IDENTIFIERS.has(name) ? name : undefined);
    return kind === undefined ? [] : readValue(kind, value);
  });
}

/** A Cisco phone that forks its media names the call it belongs to in its From. */
function identifiersOfForkedMedia(from: string): readonly CallIdentifier[] {
  return [...from.matchAll(/;\s*(x-refci|x-farendrefci|x-sessionid)=([^;>\s]+)/gi)].map(
    ([, name = '', value = '']) => ({ kind: `cisco-${name.slice(2).toLowerCase()}`, value }),
  );
}

/** The ids that recording metadata carries: of groups, sessions and vendors' extensions. */
export function identifiersOfMetadata(metadata: RecordingMetadata): readonly CallIdentifier[] {
  return [
    ...metadata.sessions.flatMap(({ id }) => readValue('siprec-session-id', id)),
    ...metadata.sessions.flatMap(({ sipSessionId }) => readValue('sip-session-id', sipSessionId ?? '')),
    ...metadata.groupIds.flatMap((id) => readValue('siprec-group-id', id)),
    ...identifiersOfExtensions(metadata.extensionList),
  ];
}

function identifiersOfExtensions(extensions: RecordingMetadata['extensionList']): readonly CallIdentifier[] {
  return extensions.flatMap(([key, value]) => {
    const name = localName(key);
    const kind = EXTENSION_KINDS.get(name);
    if (kind !== undefined) return readValue(kind, value);
    const tells = NO_IDENTIFIER_EXTENSIONS.test(name) || /^(?:true|false|yes|no|\d)$/i.test(value);
    return tells ? [] : readValue(key, value);
  });
}

/** An id in every form in which another system may look for it. */
function readValue(kind: string, value: string): readonly CallIdentifier[] {
  switch (kind) {
    case 'ucid':
    case 'user-to-user':
      return value.split(',').flatMap((part) => readUserToUser(kind, part));
    case 'sip-session-id':
      return readSessionId(value);
    case 'cisco-guid':
      return forms(kind, value, guidInHex(value));
    case 'siprec-session-id':
    case 'siprec-group-id':
      return forms(kind, value, /^urn:uuid:(.+)$/i.exec(value)?.[1]);
    case 'icid':
      return forms(kind, /icid-value\s*=\s*"?([^\s;"]+)/i.exec(value)?.[1]);
    case 'p-rc-api-ids':
    case 'p-rc-api-monitoring-ids':
      return [
        { kind, value },
        ...[...value.matchAll(/([\w-]+)=([^;,\s]+)/g)].map(([, name = '', id = '']) => ({
          kind: `rc-${name.toLowerCase()}`,
          value: id,
        })),
      ];
    default:
      return forms(kind, value);
  }
}

function forms(kind: string, ...values: readonly (string | undefined)[]): readonly CallIdentifier[] {
  return values.flatMap((value) => (value === undefined ? [] : [{ kind, value }]));
}

/**
 * `00FA0800010A1B2C3D4E5F;encoding=hex`: the parameters and the protocol discriminator 00 (ITU-T Q.931 §4.5.30)
 * are no part of the id. An element FA of eight bytes is a UCID, which its own system prints as twenty digits:
 * node, sequence number, time.
 */
function readUserToUser(kind: string, text: string): readonly CallIdentifier[] {
  const bare = (text.split(';', 1)[0] ?? '').trim().replace(/^"(.*)"$/, '$1');
  const isHex =
    /^(?:[\da-f]{2})+$/i.test(bare) && (/encoding\s*=\s*hex/i.test(text) || /^(?:00)?FA08/i.test(bare));
  const value = isHex ? bare.replace(/^00/, '') : bare;
  const ucid = isHex ? /^FA08([\da-f]{4})([\da-f]{4})([\da-f]{8})/i.exec(value) : null;
  if (ucid === null) return [{ kind, value }];
  const digits = [5, 5, 10].map((width, index) =>
    String(parseInt(ucid[index + 1] ?? '', 16)).padStart(width, '0'),
  );
  return [
    { kind, value },
    { kind: 'ucid', value: digits.join('') },
  ];
}

/** RFC 7989 §5: `local;remote=…`; the nil UUID says that the other side's is not known. */
function readSessionId(text: string): readonly CallIdentifier[] {
  const [local = '', ...parameters] = text.split(';').map((part) => part.trim());
  const remote = parameters.map((parameter) => /^remote=(.*)$/i.exec(parameter)?.[1] ?? '');
  return [local, ...remote]
    .filter((uuid) => !/^0*$/.test(uuid))
    .map((value) => ({ kind: 'sip-session-id', value }));
}

/** Four decimal numbers of 32 bits, which call records show as hexadecimal groups. */
function guidInHex(text: string): string | undefined {
  const match = /^(\d{1,10})-(\d{1,10})-(\d{1,10})-(\d{1,10})$/.exec(text);
  return match
    ?.slice(1)
    .map((part) => Number(part).toString(16).toUpperCase().padStart(8, '0'))
    .join('-');
}

/**
 * The ids of one call, each once, in the order in which they came. Bound: 96; later ones are not kept. One that
 * is longer than 512 characters is left out, since half an id finds nothing.
 */
export class IdentifierSet {
  static readonly SIZE_MAX = 96;
  readonly #known = new Map<string, CallIdentifier>();

  /** @returns whether any of them was new */
  add(identifiers: readonly CallIdentifier[]): boolean {
    const sizeBefore = this.#known.size;
    for (const { kind, value } of identifiers) {
      if (value === '' || value.length > VALUE_CHARACTERS_MAX || kind.length > KIND_CHARACTERS_MAX) continue;
      if (this.#known.size >= IdentifierSet.SIZE_MAX) break;
      this.#known.set(`${kind}\n${value}`, { kind, value });
    }
    return this.#known.size > sizeBefore;
  }

  get all(): readonly CallIdentifier[] {
    return [...this.#known.values()];
  }
}
