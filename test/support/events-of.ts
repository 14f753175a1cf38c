import type { CallId } from '../../src/ids.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import type { Pool } from '../../src/store/pool.ts';
import type { StoredEvent } from '../../src/store/stored.ts';

/** What happened in a call; not what became of its audio, which comes behind the call, sooner or later. */
export async function eventsOf(pool: Pool, id: CallId): Promise<readonly StoredEvent[]> {
  return (await loadEvents(pool, id)).filter(({ kind }) => kind !== 'recorded');
}
