import { z } from 'zod';

import { CallscribeError } from '../errors.ts';
import { isUuid, toCallId } from '../ids.ts';

const channel = z.object({
  /** Of the WAV file: 0 is left. */
  channelNo: z.int().min(0).max(1),
  role: z.enum(['agent', 'customer', 'mixed', 'unknown']),
  name: z.string().optional(),
  uri: z.string().optional(),
});

const recordedCall = z.object({
  callId: z.string().refine(isUuid).transform(toCallId),
  /** Wall time of the first sample. */
  beginAt: z.coerce.date(),
  endedAt: z.coerce.date(),
  channels: z.array(channel).min(1).max(2),
  /** Undefined: as for any other file. */
  model: z.string().optional(),
  vocabularyId: z.string().optional(),
  /** Names of the webhook endpoints that are told; undefined: all of the tenant. */
  webhooks: z.array(z.string()).optional(),
  /** Whether sentences have words with times. Default: they have. */
  keepsWords: z.boolean().optional(),
});

/** A call whose recording is recognised again, as another call: what the WAV file does not say. */
export type RecordedCall = z.infer<typeof recordedCall>;
export type RecordedChannel = RecordedCall['channels'][number];

/** @throws {CallscribeError} JOB_MALFORMED */
export function readRecordedCall(text: string): RecordedCall {
  try {
    return recordedCall.parse(JSON.parse(text));
  } catch (cause) {
    throw new CallscribeError('JOB_MALFORMED', 'what is known of a recorded call cannot be read', { cause });
  }
}

const routed = z.object({
  route: z.object({ webhooks: z.array(z.string()).nullish(), keepsWords: z.boolean().nullish() }),
});

/** What the routing rule of a call said of its sentences, by the call's metadata. */
export function routedTerms(
  metadata: Readonly<Record<string, unknown>>,
): Pick<RecordedCall, 'webhooks' | 'keepsWords'> {
  const read = routed.safeParse(metadata);
  const { webhooks, keepsWords } = read.success ? read.data.route : {};
  return { webhooks: webhooks ?? undefined, keepsWords: keepsWords ?? undefined };
}

/** A leg of the call, with the side of the recording that it is heard on. */
export interface RecordedLeg extends Omit<RecordedChannel, 'channelNo'> {
  readonly legNo: number;
  readonly channel: 'left' | 'right' | 'both';
}

/**
 * Who is heard on each side of a recording. Of several legs on one side the first names it; what is on both sides alike
 * is taken once.
 */
export function recordedChannels(legs: readonly RecordedLeg[]): RecordedChannel[] {
  const sides = [...new Set(legs.map(({ channel: side }) => side))];
  const isAlike = sides.length === 1 && sides[0] === 'both';
  return (isAlike ? (['left'] as const) : (['left', 'right'] as const)).flatMap((side, channelNo) => {
    const first = legs.find((leg) => leg.channel === side) ?? legs.find((leg) => leg.channel === 'both');
    if (first === undefined) return [];
    const { role, name, uri } = first;
    return { channelNo, role, name, uri };
  });
}
