import type { CallRecord } from '../call/record.ts';
import type { QueuedFlow, QueuedJob } from './backend.ts';
import { BATCH, type EncodedJob, encodeJob, type QueueName } from './jobs.ts';

/** What waits in an outbox's log: a fact of the log's queue, or the end of a call. */
export type OutboxFact = Pick<EncodedJob, 'name' | 'id' | 'data'>;

export const encodeFact = ({ name, id, data }: OutboxFact): string => JSON.stringify({ name, id, data });

/** @returns undefined for a line that is none of ours */
export function decodeFact(text: string): OutboxFact | undefined {
  try {
    const fact = JSON.parse(text) as Partial<OutboxFact> | null;
    return typeof fact?.name === 'string' && typeof fact.id === 'string' ? (fact as OutboxFact) : undefined;
  } catch {
    return undefined;
  }
}

/** The end of a call as a fact: it travels with the sentences, behind the last of them. */
export const callEnd = (call: CallRecord): OutboxFact => encodeJob({ name: 'call-end', payload: call });

/** A stretch of an outbox's log as the queue gets it. */
export interface Parcel {
  readonly facts: readonly OutboxFact[];
  /** Facts of the log's queue, as one job; none where there are only ends of calls. */
  readonly job: QueuedJob | undefined;
  readonly flows: readonly QueuedFlow[];
}

/**
 * Packs facts of a log's stretch. Ids name run and stretch: the same stretch handed over again is the same job, and
 * another stretch, though it begins at the same number, is another.
 */
export function packParcel(
  queue: QueueName,
  stretch: { readonly runId: string; readonly fromNo: number; readonly endNo: number },
  facts: readonly OutboxFact[],
): Parcel {
  const id = `${stretch.runId}.${queue}.${stretch.fromNo}-${stretch.endNo}`;
  const ends = facts.filter(({ name }) => name === 'call-end');
  const plain = facts.filter(({ name }) => name !== 'call-end');
  return {
    facts,
    job: plain.length === 0 ? undefined : { id, name: BATCH, data: { facts: plain.map(pick) } },
    flows: ends.map((end, index) => flowOf(`${id}.end.${index}`, end)),
  };
}

const pick = ({ name, id, data }: OutboxFact): { name: string; id: string; data: EncodedJob['data'] } => ({
  name,
  id,
  data,
});

/** The parent finishes the call once its children, one a leg, have seen the leg's rows. */
function flowOf(id: string, { name, data }: OutboxFact): QueuedFlow {
  const call = data as unknown as CallRecord;
  return {
    parent: { queue: 'calls', id, name, data },
    children: call.legs.map(({ id: legId, legNo, sentenceCount }) => ({
      queue: 'sentences',
      id: `${id}.leg.${legNo}`,
      name: 'leg-end',
      data: { callId: call.id, legId, sentenceCount: sentenceCount ?? 0 },
    })),
  };
}
