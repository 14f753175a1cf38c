import { CallscribeError } from '../errors.ts';

/** One header line. The name stands as it was received; compare with {@link headerName}. */
export interface SipHeader {
  readonly name: string;
  readonly value: string;
}

interface SipMessageParts {
  readonly headers: readonly SipHeader[];
  readonly body: Buffer;
  /** What is wrong although headers can be read: answered 400, or 505 where it is the version. */
  readonly defect?: 'frame' | 'version' | 'headers';
}

export interface SipRequest extends SipMessageParts {
  readonly kind: 'request';
  readonly method: string;
  readonly uri: string;
}

export interface SipResponse extends SipMessageParts {
  readonly kind: 'response';
  readonly status: number;
  readonly reason: string;
}

/**
 * A SIP message as its lines, not as its meaning: what we don't understand passes unharmed. Start line and headers
 * are byte strings (latin1, one character a byte), so that a display name in any encoding comes out as it went in;
 * {@link utf8} and {@link byteString} convert where text is meant.
 */
export type SipMessage = SipRequest | SipResponse;

/** RFC 3261 §7.3.3 and the later compact forms: one letter stands for the full name. */
const COMPACT_FORMS: ReadonlyMap<string, string> = new Map([
  ['a', 'accept-contact'],
  ['b', 'referred-by'],
  ['c', 'content-type'],
  ['d', 'request-disposition'],
  ['e', 'content-encoding'],
  ['f', 'from'],
  ['i', 'call-id'],
  ['j', 'reject-contact'],
  ['k', 'supported'],
  ['l', 'content-length'],
  ['m', 'contact'],
  ['n', 'identity-info'],
  ['o', 'event'],
  ['r', 'refer-to'],
  ['s', 'subject'],
  ['t', 'to'],
  ['u', 'allow-events'],
  ['v', 'via'],
  ['x', 'session-expires'],
  ['y', 'identity'],
]);

/** The name that two spellings of the same header share: lower case, compact form resolved. */
export function headerName(spelled: string): string {
  const name = spelled.toLowerCase();
  return COMPACT_FORMS.get(name) ?? name;
}

type Defects = NonNullable<SipMessage['defect']>[];

/** The first header of that (lower-case, full) name. */
export function header(message: SipMessageParts, name: string): string | undefined {
  return message.headers.find((line) => headerName(line.name) === name)?.value;
}

/** Every header line of that name, in order; lines that carry a list are not split. */
export function headers(message: SipMessageParts, name: string): string[] {
  return message.headers.filter((line) => headerName(line.name) === name).map((line) => line.value);
}

export const utf8 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
export const byteString = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** Start line not counted. The largest INVITEs of the field have some sixty, Record-Routes and all. */
export const HEADER_LINES_MAX = 256;

const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;
const STATUS_LINE = /^SIP\/2\.0 +([1-6]\d\d)(?: +(.*))?$/i;
const REQUEST_LINE = /^([A-Za-z0-9\-.!%*_+`'~]+) +(\S+) +(SIP\/\d+\.\d+)$/i;

/**
 * Reads one whole message: a datagram, or what the stream framer cut out. Only the frame is read (start line, header
 * lines, empty line, Content-Length); what a header means is for its reader. Bytes beyond Content-Length are dropped
 * (RFC 3261 §18.3); with `body: 'rest'` everything after the headers is the body, whatever Content-Length says.
 * A frame with a fault that leaves the headers readable is returned with its `defect`. Bound: `HEADER_LINES_MAX` lines
 * are read, further ones are a defect.
 *
 * @throws {CallscribeError} `SIP_MALFORMED` where there is nothing that could be answered
 */
export function parseSipMessage(
  bytes: Uint8Array,
  options: { readonly body: 'counted' | 'rest' } = { body: 'counted' },
): SipMessage {
  const buffer = withoutEmptyLines(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const end = buffer.indexOf('\r\n\r\n');
  const lines = buffer
    .toString('latin1', 0, end < 0 ? buffer.length : end)
    .split('\r\n', HEADER_LINES_MAX + 2);
  const start = readStartLine(lines[0] ?? '');
  const defects: Defects = [];
  if (end < 0) defects.push('frame');
  if (start.kind === 'request' && !/ SIP\/2\.0$/i.test(lines[0] ?? '')) defects.push('version');
  if (lines.length > HEADER_LINES_MAX + 1) defects.push('headers');
  const headers = readHeaders(lines, defects);
  const afterHead = end < 0 ? Buffer.alloc(0) : buffer.subarray(end + 4);
  const counted = options.body === 'rest' ? undefined : readContentLength(headers, defects);
  const length = counted ?? afterHead.length;
  if (length > afterHead.length) defects.push('frame');
  const body = Buffer.from(afterHead.subarray(0, length));
  return { ...start, headers, body, ...(defects[0] === undefined ? {} : { defect: defects[0] }) };
}

/** RFC 3261 §7.5: empty lines before the start line are ignored. */
function withoutEmptyLines(buffer: Buffer): Buffer {
  let from = 0;
  while (buffer[from] === 0x0d && buffer[from + 1] === 0x0a) from += 2;
  return buffer.subarray(from);
}

function readStartLine(
  line: string,
): Pick<SipRequest, 'kind' | 'method' | 'uri'> | Pick<SipResponse, 'kind' | 'status' | 'reason'> {
  const status = STATUS_LINE.exec(line);
  if (status !== null) return { kind: 'response', status: Number(status[1]), reason: status[2] ?? '' };
  const request = REQUEST_LINE.exec(line);
  if (request !== null) return { kind: 'request', method: request[1]!, uri: request[2]! };
  throw new CallscribeError('SIP_MALFORMED', 'SIP message: neither a request line nor a status line');
}

function readHeaders(lines: readonly string[], defects: Defects): SipHeader[] {
  const read: { name: string; value: string }[] = [];
  for (const line of lines.slice(1)) {
    const previous = read.at(-1);
    // RFC 3261 §25.1: in no header, not even quoted. To others it is the end of a line, drachtio-srf among them.
    if (/[\r\n]/.test(line)) defects.push('frame');
    // RFC 3261 §7.3.1: a line that begins with white space continues the one before.
    if (/^[ \t]/.test(line) && previous !== undefined) {
      previous.value = `${previous.value} ${line.trim()}`.trim();
      continue;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).trim();
    if (TOKEN.test(name)) read.push({ name, value: line.slice(colon + 1).trim() });
    else defects.push('frame');
  }
  return read;
}

function readContentLength(headers: readonly SipHeader[], defects: Defects): number | undefined {
  const values = headers.flatMap((line) => (headerName(line.name) === 'content-length' ? [line.value] : []));
  const [value] = values;
  if (value === undefined) return undefined;
  // Two that differ leave open where the message ends.
  if (/^\d{1,9}$/.test(value) && values.every((other) => other === value)) return Number(value);
  defects.push('frame');
  return undefined;
}

/**
 * The bytes of a message. A Content-Length header is set to the body's length where one stands, and added before the
 * body where none does, so the frame is always right.
 */
export function formatSipMessage(message: SipMessage): Buffer {
  const startLine =
    message.kind === 'request'
      ? `${message.method} ${message.uri} SIP/2.0`
      : `SIP/2.0 ${message.status} ${message.reason}`;
  let head = `${startLine}\r\n`;
  let hasLength = false;
  for (const { name, value } of message.headers) {
    const isLength = headerName(name) === 'content-length';
    if (isLength && hasLength) continue;
    hasLength ||= isLength;
    head += `${name}: ${isLength ? message.body.length : value}\r\n`;
  }
  if (!hasLength) head += `Content-Length: ${message.body.length}\r\n`;
  return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), message.body]);
}
