import { CallscribeError } from '../errors.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import { type Caption, encodeCaption } from './caption.ts';
import { copyCodes, FrameBits, SPAN_MAX_CODES } from './frame.ts';

/** A sentence's place in a leg's codes: the first, and the one after the last. */
export interface CodeSpan {
  readonly beginCode: number;
  readonly endCode: number;
}

/**
 * Writes a caption into the low bits of a sentence's codes, in place. The sound changes by at most one step of
 * quantisation. The whole sentence is written (see `frame.ts`), so spans of one leg must not overlap.
 *
 * @param _law both laws carry the bit alike; named so that a caller states what the codes are
 * @throws {CallscribeError} `CAPTION_INVALID` when the span is not in `codes`, is over a minute, or is too short
 */
export function embedCaption(codes: Uint8Array, _law: G711Law, span: CodeSpan, caption: Caption): void {
  const { beginCode, endCode } = span;
  const inside = Number.isInteger(beginCode) && Number.isInteger(endCode) && beginCode >= 0;
  if (!inside || endCode <= beginCode || endCode > codes.length) {
    throw new CallscribeError(
      'CAPTION_INVALID',
      `span ${beginCode} to ${endCode} is not within the ${codes.length} codes`,
    );
  }
  const payload = encodeCaption(caption);
  const spanCodes = endCode - beginCode;
  if (spanCodes < copyCodes(payload.length) || spanCodes > SPAN_MAX_CODES) {
    throw new CallscribeError(
      'CAPTION_INVALID',
      `sentence has ${spanCodes} codes, its caption needs ${copyCodes(payload.length)} to ${SPAN_MAX_CODES}`,
    );
  }
  const bits = new FrameBits({ payload, spanCodes });
  for (let offset = 0; offset < spanCodes; offset += 1) {
    const index = beginCode + offset;
    codes[index] = (codes[index]! & 0xfe) | bits.at(offset);
  }
}
