import type { HeaderLine } from './identifiers.ts';

/** Who speaks on a line by the words of the INVITE's headers: dialects without recording metadata. */
export interface SignalledParty {
  /** The m-line, from 0; undefined where the headers speak of the only one. */
  readonly lineIndex: number | undefined;
  readonly name: string | undefined;
  readonly uri: string | undefined;
  /** Which end of a recorded phone's call (Cisco built-in bridge). */
  readonly end: 'near' | 'far' | undefined;
}

const PARTIES_MAX = 32;
const TEXT_CHARACTERS_MAX = 256;
/** A header value is looked at no further. */
const VALUE_CHARACTERS_MAX = 2_048;

/**
 * Evidence in this order, first that is there: the participants of a network-based recording; the near or far
 * end that a built-in bridge forks; the caller, by the asserted identity (RFC 3325) or the From.
 */
export function readSignalledParties(lines: readonly HeaderLine[]): readonly SignalledParty[] {
  const valuesOf = (...names: readonly string[]): readonly string[] =>
    names.flatMap((wanted) =>
      lines.filter(({ name }) => name === wanted).map(({ value }) => value.slice(0, VALUE_CHARACTERS_MAX)),
    );
  const recorded = valuesOf('x-cisco-recording-participant').slice(0, PARTIES_MAX).flatMap(readRecorded);
  if (recorded.length > 0) return recorded;
  const [from = ''] = valuesOf('from', 'f');
  const forked = readForked(from);
  if (forked !== undefined) return [forked];
  const [caller] = valuesOf('p-asserted-identity', 'remote-party-id', 'from', 'f');
  if (caller === undefined) return [];
  return [{ lineIndex: undefined, ...readAddress(caller), end: undefined }];
}

/** `sip:1001@cucm;media-index="0"`; a participant of several lines names them all. */
function readRecorded(value: string): readonly SignalledParty[] {
  const indexes = (/;\s*media-index\s*=\s*"?([\d\s]+)/i.exec(value)?.[1] ?? '').trim().split(/\s+/);
  return indexes
    .filter((index) => /^\d{1,2}$/.test(index))
    .map((index) => ({ lineIndex: Number(index), ...readAddress(value), end: undefined }));
}

function readForked(from: string): SignalledParty | undefined {
  const end = /;\s*x-(near|far)end\s*(?:[;>]|$)/i.exec(from)?.[1]?.toLowerCase();
  if (end !== 'near' && end !== 'far') return undefined;
  const number = new RegExp(`;\\s*x-${end}endaddr=([^;>\\s]{1,128})`, 'i').exec(from)?.[1];
  const uri = number ?? (end === 'near' ? readAddress(from).uri : undefined);
  return { lineIndex: undefined, name: undefined, uri, end };
}

/** `"Anna" <sip:anna@x;p>;tag=1` → Anna, `sip:anna@x` */
function readAddress(value: string): Pick<SignalledParty, 'name' | 'uri'> {
  const text = value.trim();
  const quoted = /^"((?:[^"\\]|\\.){0,256})"/.exec(text);
  const rest = text.slice(quoted?.[0].length ?? 0);
  const open = rest.indexOf('<');
  const name = (quoted?.[1]?.replace(/\\(.)/g, '$1') ?? rest.slice(0, Math.max(0, open))).trim();
  const uri =
    rest
      .slice(open + 1)
      .trim()
      .split(/[;?>,\s]/, 1)[0] ?? '';
  const anonymous = uri === '' || /^sips?:anonymous@/i.test(uri);
  return {
    name: name === '' ? undefined : name.slice(0, TEXT_CHARACTERS_MAX),
    uri: anonymous ? undefined : uri.slice(0, TEXT_CHARACTERS_MAX),
  };
}
