import type { StoredCall, StoredEvent, StoredLeg } from '../store/stored.ts';

/** A stretch of a call of which nothing was kept, because somebody asked for it. */
export interface CallPause {
  readonly beginAt: Date;
  /** Undefined: it goes on. */
  readonly endAt: Date | undefined;
  /** Milliseconds on each leg's own clock, as its sentences have; no end: it goes on. */
  readonly legs: readonly {
    readonly legNo: number;
    readonly beginMs: number;
    readonly endMs: number | undefined;
  }[];
}

/** The pauses that a call's events tell of, in order; one that nobody ended lasts to the end of the call. */
export function pausesOf(
  { state, endedAt }: Pick<StoredCall, 'state' | 'endedAt'>,
  legs: readonly StoredLeg[],
  events: readonly StoredEvent[],
): readonly CallPause[] {
  const pauses: CallPause[] = [];
  let paused: StoredEvent | undefined;
  for (const event of events) {
    if (event.kind === 'paused') paused ??= event;
    if (event.kind !== 'resumed' || paused === undefined) continue;
    pauses.push(pauseOf(legs, paused, event, event.at));
    paused = undefined;
  }
  const isOver = state !== 'active';
  if (paused !== undefined) {
    pauses.push(pauseOf(legs, paused, undefined, isOver ? (endedAt ?? undefined) : undefined));
  }
  return pauses;
}

function pauseOf(
  legs: readonly StoredLeg[],
  paused: StoredEvent,
  resumed: StoredEvent | undefined,
  endAt: Date | undefined,
): CallPause {
  const begins = placesOf(paused);
  const ends = resumed === undefined ? new Map<number, number>() : placesOf(resumed);
  return {
    beginAt: paused.at,
    endAt,
    legs: legs.flatMap((leg) => {
      const { legNo, startedAt } = leg;
      if (startedAt === null) return [];
      // A leg that joined in the pause was silent from its first sample on.
      const beginMs = begins.get(legNo) ?? (startedAt >= paused.at ? 0 : undefined);
      if (beginMs === undefined || (resumed !== undefined && startedAt > resumed.at)) return [];
      return [{ legNo, beginMs, endMs: ends.get(legNo) ?? durationMsOf(leg) }];
    }),
  };
}

/** Where each leg was, by number; one that had not been heard yet was at its begin. */
function placesOf({ detail }: StoredEvent): ReadonlyMap<number, number> {
  const legs = Array.isArray(detail['legs']) ? (detail['legs'] as readonly unknown[]) : [];
  return new Map(
    legs.flatMap((place) => {
      const { legNo, atMs } = Object(place) as { readonly legNo?: unknown; readonly atMs?: unknown };
      return typeof legNo === 'number' ? [[legNo, typeof atMs === 'number' ? atMs : 0] as const] : [];
    }),
  );
}

const durationMsOf = ({ startedAt, endedAt }: StoredLeg): number | undefined =>
  startedAt === null || endedAt === null ? undefined : endedAt.getTime() - startedAt.getTime();
