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
  /** The ends of calls in it. */
  readonly ends: QueuedFlow | undefined;
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
    job: plain.length === 0 ? undefined : batchOf(id, plain),
    ends: ends.length === 0 ? undefined : flowOf(`${id}.ends`, ends),
  };
}

const batchOf = (id: string, facts: readonly OutboxFact[]): QueuedJob => ({
  id,
  name: BATCH,
  data: { facts: facts.map(({ id: factId, name, data }) => ({ name, id: factId, data })) },
});

/**
 * The parent finishes the calls once its child has seen the rows of all their legs. One flow for all calls that end
 * together: a flow of its own for each, with a child a leg, costs some transactions a leg, and sentences queue up behind
 * the children.
 */
function flowOf(id: string, ends: readonly OutboxFact[]): QueuedFlow {
  const legEnds = ends.flatMap(({ data }) => {
    const call = data as unknown as CallRecord;
    return call.legs.map(({ id: legId, sentenceCount }) =>
      encodeJob({ name: 'leg-end', payload: { callId: call.id, legId, sentenceCount: sentenceCount ?? 0 } }),
    );
  });
  return {
    parent: { queue: 'calls', ...batchOf(id, ends) },
    child: { queue: 'sentences', ...batchOf(`${id}.legs`, legEnds) },
  };
}
