import { v7 } from 'uuid';

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Our own id of a call (UUID); a SIP Call-ID is another thing and stays a plain string. */
export type CallId = Branded<string, 'CallId'>;
/** Our own id of one leg of a call (UUID). */
export type LegId = Branded<string, 'LegId'>;

/**
 * A new id in the order of time (UUID version 7, RFC 9562 §5.7): its first 48 bits are the milliseconds of `at`,
 * by which rows find their month.
 *
 * @param at when the call began; now where it is left out
 */
export const newCallId = (at?: Date): CallId => v7(at && { msecs: at.getTime() }) as CallId;

/**
 * A new id of a leg of this call. It has the time of the call's id, whenever the leg began, so that all rows of a
 * call are in the same month and stand together in the primary keys (migration 0006).
 */
export function newLegId(callId: CallId): LegId {
  const at = timeOfId(callId);
  return v7(at && { msecs: at.getTime() }) as LegId;
}

/** The time that an id carries; undefined for one of another version (random ids of calls before 2026-11). */
export function timeOfId(id: CallId | LegId): Date | undefined {
  return id[14] === '7' ? new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)) : undefined;
}

/** Below every id of this time and later, above every earlier one. @param at 1970 or later */
export function lowestIdAt(at: Date): string {
  const hex = at.getTime().toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export const isUuid = (text: string): boolean => UUID.test(text);

/** @throws {RangeError} when the text is no lower-case UUID */
export function toCallId(text: string): CallId {
  if (!isUuid(text)) {
    throw new RangeError(`call id: found ${text.length} characters, expected a lower-case UUID`);
  }
  return text as CallId;
}

/** @throws {RangeError} when the text is no lower-case UUID */
export function toLegId(text: string): LegId {
  if (!isUuid(text)) {
    throw new RangeError(`leg id: found ${text.length} characters, expected a lower-case UUID`);
  }
  return text as LegId;
}
