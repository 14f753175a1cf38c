import { crc32 } from '../crc32.ts';

/** Something that waits in the outbox. */
export interface Entry {
  /** 1, 2, 3 … in the order of acceptance, through all segments. */
  readonly no: number;
  /** One line: no line feed in it, as JSON.stringify gives it. */
  readonly text: string;
}

const LF = 0x0a;
const CRC_CHARS = 8;
const BODY_AT = CRC_CHARS + 1;

/**
 * One line of a segment file:
 *
 *     crc32 no text LF
 *
 * `crc32`: eight hexadecimal digits, over `no text` in UTF-8. The number stands in the line, so that what follows a
 * damaged line is still known, and what was written twice is known as the same.
 */
export function encodeRecord({ no, text }: Entry): Buffer {
  const line = Buffer.from(`         ${no} ${text}\n`);
  line.write(crcText(line.subarray(BODY_AT, -1)), 0, 'latin1');
  return line;
}

/** What a segment's bytes hold. */
export interface DecodedRecords {
  readonly entries: readonly Entry[];
  /** Lines that end with a line feed and cannot be read. */
  readonly damaged: number;
  /** Bytes after the last line feed: a line that was being written when the process or the machine ended. */
  readonly tornBytes: number;
}

export function decodeRecords(bytes: Buffer): DecodedRecords {
  const entries: Entry[] = [];
  let damaged = 0;
  let from = 0;
  for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, from)) {
    const entry = decodeLine(bytes.subarray(from, end));
    if (entry === undefined) damaged += 1;
    else entries.push(entry);
    from = end + 1;
  }
  return { entries, damaged, tornBytes: bytes.length - from };
}

function decodeLine(line: Buffer): Entry | undefined {
  const body = line.subarray(BODY_AT);
  if (line.toString('latin1', 0, BODY_AT) !== `${crcText(body)} `) return undefined;
  const blankAt = body.indexOf(' ');
  const no = Number(body.toString('latin1', 0, blankAt));
  return blankAt > 0 && Number.isSafeInteger(no)
    ? { no, text: body.toString('utf8', blankAt + 1) }
    : undefined;
}

const crcText = (bytes: Buffer): string => crc32(bytes).toString(16).padStart(CRC_CHARS, '0');
