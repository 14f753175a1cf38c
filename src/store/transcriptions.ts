import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

export const TRANSCRIPTION_STATES = ['waiting', 'running', 'complete', 'failed'] as const;

/** A file that was handed in. */
export interface StoredTranscription {
  readonly id: string;
  readonly tenant: string;
  readonly state: (typeof TRANSCRIPTION_STATES)[number];
  readonly bytes: number;
  /** 0 to 1, of all channels. */
  readonly progress: number;
  readonly sentences: number;
  /** Once it is complete. */
  readonly callId: CallId | null;
  readonly faultCode: string | null;
  readonly fault: string | null;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

const COLUMNS = `id, tenant, state, bytes::float8 as bytes, progress, sentences, call_id as "callId",
  fault_code as "faultCode", fault, created_at as "createdAt", ended_at as "endedAt"`;

/** @throws what `pg` throws; see `toStoreError` */
export async function createTranscription(
  db: Queryable,
  { id, tenant, bytes }: Pick<StoredTranscription, 'id' | 'tenant' | 'bytes'>,
): Promise<StoredTranscription> {
  const { rows } = await db.query<StoredTranscription>(
    `insert into transcriptions (id, tenant, bytes) values ($1, $2, $3) returning ${COLUMNS}`,
    [id, tenant, bytes],
  );
  return rows[0]!;
}

/**
 * @param tenant the only one that may be seen; undefined sees all
 * @throws what `pg` throws; see `toStoreError`
 */
export async function loadTranscription(
  db: Queryable,
  id: string,
  tenant?: string,
): Promise<StoredTranscription | undefined> {
  const { rows } = await db.query<StoredTranscription>(
    `select ${COLUMNS} from transcriptions where id = $1 and ($2::text is null or tenant = $2)`,
    [id, tenant ?? null],
  );
  return rows[0];
}

/** How far it is; of one that has ended nothing is changed. @throws what `pg` throws; see `toStoreError` */
export async function noteTranscription(
  db: Queryable,
  id: string,
  { progress, sentences }: Pick<StoredTranscription, 'progress' | 'sentences'>,
): Promise<void> {
  await db.query(
    `update transcriptions set state = 'running', progress = $2, sentences = $3
      where id = $1 and state in ('waiting', 'running')`,
    [id, progress, sentences],
  );
}

/** What became of it; the first time counts. @throws what `pg` throws; see `toStoreError` */
export async function endTranscription(
  db: Queryable,
  id: string,
  end:
    | { readonly callId: CallId; readonly sentences: number }
    | { readonly code: string; readonly text: string },
): Promise<void> {
  const isComplete = 'callId' in end;
  await db.query(
    `update transcriptions
        set state = $2, call_id = $3, fault_code = $4, fault = $5, ended_at = clock_timestamp(),
            progress = case when $2 = 'complete' then 1 else progress end, sentences = coalesce($6, sentences)
      where id = $1 and state in ('waiting', 'running')`,
    isComplete
      ? [id, 'complete', end.callId, null, null, end.sentences]
      : [id, 'failed', null, end.code, end.text, null],
  );
}
