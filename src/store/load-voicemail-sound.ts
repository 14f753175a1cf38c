import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** Where in a call's recording its message is. */
export interface VoicemailSound {
  readonly callId: CallId;
  /** Of the call, by which the file is found. */
  readonly startedAt: Date;
  readonly channel: 'left' | 'right' | 'both';
  readonly fromMs: number;
  readonly toMs: number;
  /** Of the recording's audio. */
  readonly crc32: number;
}

const LOAD = {
  name: 'load-voicemail-sound',
  text: `
select message.call_id as "callId", calls.started_at as "startedAt", place->>'channel' as channel,
       (detail->>'crc32')::float8 as crc32, message.begin_ms + late.ms as "fromMs", message.end_ms + late.ms as "toMs"
  from voicemails message
  join calls on calls.id = message.call_id
  join legs on legs.id = message.leg_id
  join call_events on call_events.call_id = message.call_id and kind = 'recorded',
       lateral jsonb_array_elements(detail->'channels') as place,
       lateral (select round(extract(epoch from legs.started_at - (detail->>'beginAt')::timestamptz) * 1000)::float8 as ms) as late
 where message.call_id = $1 and (place->>'legNo')::int = legs.leg_no
 order by event_no desc
 limit 1`,
};

/** @returns undefined where there is no recording @throws what `pg` throws; see `toStoreError` */
export async function loadVoicemailSound(db: Queryable, callId: CallId): Promise<VoicemailSound | undefined> {
  return (await db.query<VoicemailSound>({ ...LOAD, values: [callId] })).rows[0];
}
