/** Bytes `[from, end)`. */
export interface ByteRange {
  readonly from: number;
  readonly end: number;
}

/**
 * What a header `Range` asks for (RFC 9110 §14.1.2). What is no range of bytes, or more than one, is answered with all
 * of it, as a server may (§14.2).
 *
 * @param bytes how many there are
 * @returns `whole`; `unsatisfiable` where none of them is asked for
 */
export function readByteRange(
  header: string | undefined,
  bytes: number,
): ByteRange | 'whole' | 'unsatisfiable' {
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (first === '' && last === '') return 'whole';
  if (first === '') {
    const suffix = Math.min(Number(last), bytes);
    return suffix === 0 ? 'unsatisfiable' : { from: bytes - suffix, end: bytes };
  }
  const from = Number(first);
  const end = last === '' ? bytes : Math.min(Number(last) + 1, bytes);
  if (last !== '' && Number(last) < from) return 'whole';
  return from >= bytes ? 'unsatisfiable' : { from, end };
}
