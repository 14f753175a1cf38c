/**
 * Readers for the header values that routing needs. They take what stands in the field rather than what the grammar
 * of RFC 3261 §25 allows: a `tel:` address, a host name with an underscore or an unquoted display name must not cost a
 * call. (sip.js 0.21.2's own grammar refuses all three, and of two Via values in one line it reads the last.)
 */

/** Splits a list value at its commas, leaving those inside quotes and angle brackets alone. */
export function splitList(value: string): string[] {
  return splitOutside(value, ',');
}

function splitOutside(value: string, separator: ',' | ';'): string[] {
  const parts: string[] = [];
  let quoted = false;
  let bracketed = false;
  let from = 0;
  for (let at = 0; at < value.length; at += 1) {
    const char = value[at];
    if (quoted) {
      if (char === '\\') at += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '<') bracketed = true;
    else if (char === '>') bracketed = false;
    else if (char === separator && !bracketed) {
      parts.push(value.slice(from, at).trim());
      from = at + 1;
    }
  }
  parts.push(value.slice(from).trim());
  return parts.filter((part) => part !== '');
}

/** Parameters by lower-case name; a parameter without a value is the empty string. */
export type Parameters = ReadonlyMap<string, string>;

function readParameters(parts: readonly string[]): Parameters {
  const parameters = new Map<string, string>();
  for (const part of parts) {
    const equals = part.indexOf('=');
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    if (name !== '' && !parameters.has(name)) {
      parameters.set(name, equals < 0 ? '' : part.slice(equals + 1).trim());
    }
  }
  return parameters;
}

/** From, To, Contact, Route, Record-Route: an address and its header parameters. RFC 3261 §20.10. */
export interface NameAddr {
  readonly uri: string;
  readonly parameters: Parameters;
}

export function readNameAddr(value: string): NameAddr | undefined {
  // In the form without brackets every parameter belongs to the header, not to the URI.
  const [first = '', ...rest] = splitOutside(value, ';');
  const open = first.replace(/"(?:\\.|[^"\\])*"/g, (quoted) => ' '.repeat(quoted.length)).indexOf('<');
  const close = open < 0 ? -1 : first.indexOf('>', open);
  if (open >= 0 && close < 0) return undefined;
  const uri = open >= 0 ? first.slice(open + 1, close).trim() : first.trim();
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:\S+$/.test(uri)) return undefined;
  return { uri, parameters: readParameters(rest) };
}

/** One Via value. RFC 3261 §20.42. Of any version, so that what is not 2.0 can be answered with 505. */
export interface Via {
  /** Upper case: `UDP`, `TCP`, … */
  readonly transport: string;
  readonly host: string;
  readonly port: number | undefined;
  readonly parameters: Parameters;
}

const VIA =
  /^SIP\s*\/\s*\d+\.\d+\s*\/\s*([A-Za-z0-9-]+)\s+(\[[^\]]+\]|[^\s:;[\]]+)\s*(?::\s*(\d{1,5}))?\s*(?:;(.*))?$/is;

export function readVia(value: string): Via | undefined {
  const found = VIA.exec(value.trim());
  if (found === null) return undefined;
  const port = found[3] === undefined ? undefined : Number(found[3]);
  if (port !== undefined && port > 65_535) return undefined;
  return {
    transport: found[1]!.toUpperCase(),
    host: found[2]!,
    port,
    parameters: readParameters(splitOutside(found[4] ?? '', ';')),
  };
}

export interface CSeq {
  readonly number: number;
  readonly method: string;
}

/** RFC 3261 §8.1.1.5: the number is less than 2³¹. */
export function readCSeq(value: string): CSeq | undefined {
  const found = /^(\d{1,10})\s+(\S+)$/.exec(value.trim());
  if (found === null || Number(found[1]) >= 2 ** 31) return undefined;
  return { number: Number(found[1]), method: found[2]! };
}

/** What a `sip:` URI says about where to send. RFC 3261 §19.1. */
export interface SipUri {
  /** Without the brackets of an IPv6 reference. */
  readonly host: string;
  readonly port: number | undefined;
  readonly parameters: Parameters;
}

export function readSipUri(uri: string): SipUri | undefined {
  const found = /^sips?:(?:[^@]*@)?(\[[^\]]+\]|[^\s:;?@[\]]+)(?::(\d{1,5}))?(?:;([^?]*))?(?:\?.*)?$/i.exec(
    uri,
  );
  if (found === null) return undefined;
  const port = found[2] === undefined ? undefined : Number(found[2]);
  if (port !== undefined && port > 65_535) return undefined;
  return {
    host: found[1]!.replace(/^\[|\]$/g, ''),
    port,
    parameters: readParameters((found[3] ?? '').split(';')),
  };
}

/** An address as it stands in a URI, a Via or a Contact: IPv6 in brackets, without a zone. */
export function uriHost(host: string): string {
  return host.includes(':') ? `[${host.replace(/%.*$/, '')}]` : host;
}
