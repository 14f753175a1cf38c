import type { RecordingMetadata } from './rs-metadata.ts';

/** A moment, or `unclear` where the element is there but its text cannot be used. */
export type ToldTime = Date | 'unclear';

const RFC3339_LIKE =
  /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(\.\d{1,9})?\s*(?:(Z)|([+-])(\d{2}):?(\d{2}))$/i;
/** Some clients' clocks stand at 1970. */
const YEAR_MIN = 2000;
const AHEAD_MAX_MS = 86_400_000;

/**
 * The moment that a `…-time` element tells. RFC 3339 is meant; a zone without its colon is read as well. No
 * zone, a year before 2000 and what is no time at all are `unclear`.
 *
 * @param text undefined where there is no such element
 */
export function readToldTime(text: string | undefined): ToldTime | undefined {
  if (text === undefined) return undefined;
  const match = RFC3339_LIKE.exec(text.trim());
  if (match === null) return 'unclear';
  const [, date = '', time = '', fraction = '', utc, sign = '', hours = '', minutes = ''] = match;
  const zone = utc === undefined ? `${sign}${hours}:${minutes}` : 'Z';
  // A Date has milliseconds; what is finer is cut.
  const at = new Date(`${date}T${time}${fraction.slice(0, 4)}${zone}`);
  return Number.isNaN(at.getTime()) || at.getUTCFullYear() < YEAR_MIN ? 'unclear' : at;
}

/** The same document with moments only: the arrival stands in for what is unclear or a day ahead of it. */
export function settleTimes(metadata: RecordingMetadata, arrivedAt: Date): RecordingMetadata<Date> {
  const settle = (told: ToldTime | undefined): Date | undefined => {
    if (told === undefined) return undefined;
    return told === 'unclear' || told.getTime() > arrivedAt.getTime() + AHEAD_MAX_MS ? arrivedAt : told;
  };
  const settleBoth = <
    T extends { associatedAt: ToldTime | undefined; disassociatedAt: ToldTime | undefined },
  >(
    each: T,
  ): T & { readonly associatedAt: Date | undefined; readonly disassociatedAt: Date | undefined } => ({
    ...each,
    associatedAt: settle(each.associatedAt),
    disassociatedAt: settle(each.disassociatedAt),
  });
  return {
    ...metadata,
    associations: metadata.associations.map(settleBoth),
    memberships: metadata.memberships.map(settleBoth),
    sessions: metadata.sessions.map((session) => ({
      ...session,
      startedAt: settle(session.startedAt),
      stoppedAt: settle(session.stoppedAt),
    })),
  };
}
