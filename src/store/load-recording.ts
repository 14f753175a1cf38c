import { CallscribeError } from '../errors.ts';
import { loadLegs } from './load-legs.ts';
import type { Queryable } from './pool.ts';
import type { StoredCall, StoredLeg } from './stored.ts';

/** A call's recording, as its event `recorded` tells of it. */
export interface StoredRecording {
  /** When the call began: by this and its id the file is found. */
  readonly startedAt: Date;
  /** Wall time of the file's first sample. */
  readonly beginAt: Date;
  readonly endedAt: Date;
  readonly legs: readonly {
    readonly legNo: number;
    readonly channel: 'left' | 'right' | 'both';
    readonly role: StoredLeg['role'];
    readonly name: string | undefined;
    readonly uri: string | undefined;
  }[];
}

interface RecordedDetail {
  readonly beginAt: string;
  readonly channels: readonly { readonly legNo: number; readonly channel: 'left' | 'right' | 'both' }[];
}

const LOAD_RECORDED = {
  name: 'load-recorded',
  text: `select detail from call_events where call_id = $1 and kind = 'recorded' order by event_no desc limit 1`,
};

/**
 * @throws {CallscribeError} CALL_RUNNING, RECORDING_ABSENT
 * @throws what `pg` throws; see `toStoreError`
 */
export async function loadRecording(db: Queryable, call: StoredCall): Promise<StoredRecording> {
  const { startedAt, endedAt } = call;
  if (startedAt === null || endedAt === null) {
    throw new CallscribeError('CALL_RUNNING', 'the call goes on; this can be done when it has ended');
  }
  const { rows } = await db.query<{ detail: RecordedDetail }>({ ...LOAD_RECORDED, values: [call.id] });
  const [recorded] = rows;
  if (recorded === undefined) {
    throw new CallscribeError(
      'RECORDING_ABSENT',
      'this call has no recording: none is kept (RECORDING), or it is being written still',
    );
  }
  const legs = new Map((await loadLegs(db, call.id)).map((leg) => [leg.legNo, leg]));
  const { beginAt, channels } = recorded.detail;
  return {
    startedAt,
    endedAt,
    beginAt: new Date(beginAt),
    legs: channels.map(({ legNo, channel }) => {
      const leg = legs.get(legNo);
      return {
        legNo,
        channel,
        role: leg?.role ?? 'unknown',
        name: leg?.name ?? undefined,
        uri: leg?.uri ?? undefined,
      };
    }),
  };
}
