/** One part of a message body: its media type in lower case without parameters, and its text. */
export interface BodyPart {
  readonly contentType: string;
  readonly contentDisposition: string | undefined;
  readonly content: string;
}

/** More parts than this are not looked at; recorders see two or three. */
const PARTS_MAX = 16;

/**
 * Splits a SIP message body into its parts; a body that is not multipart is one part.
 *
 * Deliberately more tolerant than RFC 2046 §5.1, because recording clients in the field leave out the closing
 * boundary line, add blanks or bytes after it, quote the boundary or not, end lines with a bare LF, and put the
 * parts in any order. A body without the announced boundary yields no part.
 */
export function splitBody(contentType: string, body: string): readonly BodyPart[] {
  const mediaType = baseType(contentType);
  if (!mediaType.startsWith('multipart/')) {
    return body.trim() === ''
      ? []
      : [{ contentType: mediaType, contentDisposition: undefined, content: body }];
  }
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) return [];

  const parts: BodyPart[] = [];
  for (const section of sectionsBetween(body, `--${boundary}`)) {
    if (parts.length === PARTS_MAX) break;
    const part = readSection(section);
    if (part !== undefined) parts.push(part);
  }
  return parts;
}

/** `Multipart/Mixed; boundary=x` → `multipart/mixed` */
export function baseType(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

function boundaryOf(contentType: string): string | undefined {
  const match = /;\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;,"]{1,200}))/i.exec(contentType);
  return match?.[1] ?? match?.[2];
}

/** The texts between boundary lines: after the first one, up to the closing one or the end of the body. */
function* sectionsBetween(body: string, delimiter: string): Generator<string> {
  const closing = `${delimiter}--`;
  let current: string[] | undefined;
  for (const line of body.split(/\r?\n/)) {
    const trimmed = line.trimEnd();
    // Some clients put no line end between an XML document and the boundary.
    const found = [delimiter, closing].find((wanted) => trimmed === wanted || trimmed.endsWith(`>${wanted}`));
    if (found !== undefined) {
      if (trimmed !== found) current?.push(trimmed.slice(0, -found.length));
      if (current !== undefined) yield current.join('\r\n');
      if (found === closing) return;
      current = [];
    } else {
      current?.push(line);
    }
  }
  if (current !== undefined) yield current.join('\r\n');
}

/** Header lines, a blank line, content; some clients leave the blank line out, or put one before the headers. */
function readSection(section: string): BodyPart | undefined {
  const lines = section.split('\r\n');
  const headers = new Map<string, string>();
  let index = lines.findIndex((line) => line.trim() !== '');
  if (index === -1) return undefined;
  for (let last = ''; index < lines.length; index++) {
    const line = lines[index] ?? '';
    const match = /^([A-Za-z][A-Za-z-]*)\s*:\s*(.*)$/.exec(line);
    if (match !== null) {
      last = (match[1] ?? '').toLowerCase();
      headers.set(last, match[2] ?? '');
    } else if (last !== '' && /^[ \t]+\S/.test(line)) {
      headers.set(last, `${headers.get(last) ?? ''} ${line.trim()}`);
    } else {
      break;
    }
  }
  if (lines[index]?.trim() === '') index++;
  const content = lines.slice(index).join('\r\n');
  const contentType = headers.get('content-type') ?? headers.get('c') ?? guessType(content);
  if (contentType === undefined) return undefined;
  return {
    contentType: baseType(contentType),
    contentDisposition: headers.get('content-disposition'),
    content,
  };
}

/** For a part without a type: what the two documents that we read look like. */
function guessType(content: string): string | undefined {
  if (/^\s*v=0\s/.test(content)) return 'application/sdp';
  return /^\s*(?:<\?xml[^>]*>\s*)?<(?:[\w.-]+:)?recording/i.test(content)
    ? 'application/rs-metadata+xml'
    : undefined;
}
