import { randomUUID } from 'node:crypto';

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Our own id of a call (UUID); a SIP Call-ID is another thing and stays a plain string. */
export type CallId = Branded<string, 'CallId'>;
/** Our own id of one leg of a call (UUID). */
export type LegId = Branded<string, 'LegId'>;

export const newCallId = (): CallId => randomUUID() as CallId;
export const newLegId = (): LegId => randomUUID() as LegId;

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
