import { z } from 'zod';

import { CallscribeError } from '../errors.ts';

const CURSOR_MAX_CHARACTERS = 512;

/** A cursor as clients send it: opaque to them. */
export const cursorSchema = z
  .string()
  .max(CURSOR_MAX_CHARACTERS)
  .regex(/^[\w-]+$/)
  .describe('next_cursor of the page before');

/**
 * Turns places in one ordered list into cursors and back. A cursor is the place of a page's last row, so that the
 * next page begins behind it whatever was added or deleted meanwhile.
 *
 * @param list its name, so that the cursor of another list is refused
 * @param place what the order is by; JSON
 */
export function cursorsOf<T>(
  list: string,
  place: z.ZodType<T>,
): { write: (value: T) => string; read: (cursor: string) => T } {
  const envelope = z.tuple([z.literal(list), place]);
  return {
    write: (value) => Buffer.from(JSON.stringify([list, value])).toString('base64url'),
    /** @throws {CallscribeError} CURSOR_INVALID */
    read: (cursor) => {
      try {
        return envelope.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))[1];
      } catch (cause) {
        throw new CallscribeError(
          'CURSOR_INVALID',
          `the cursor is not one of the list of ${list}: send next_cursor of the page before, unchanged`,
          { cause },
        );
      }
    },
  };
}
