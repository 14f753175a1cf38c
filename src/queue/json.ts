/** What JSON can say. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/**
 * Turns a value into JSON that Postgres takes too: times as RFC 3339, what has no value as null. A `jsonb` and a
 * `text` column refuse U+0000 and half a surrogate pair, which a header, metadata or a recogniser may hold;
 * they become U+FFFD, since a job that no row can take would be lost.
 */
export function toJson(value: unknown): JsonValue {
  switch (typeof value) {
    case 'string':
      return storable(value);
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : null;
    case 'bigint':
      return value.toString();
    case 'object':
      if (value === null) return null;
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
      if (Array.isArray(value)) return value.map(toJson);
      return Object.fromEntries(
        Object.entries(value).map(([name, inner]) => [storable(name), toJson(inner)]),
      );
    default:
      return null;
  }
}

/** Nearly no text has any of these code units; to look is ten times as fast as to replace. */
const SUSPECT = /[\0\ud800-\udfff]/;

const storable = (text: string): string =>
  SUSPECT.test(text) ? text.replace(/\0|\p{Surrogate}/gu, '\uFFFD') : text;
