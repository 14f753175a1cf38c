import { z } from 'zod';

import { readMessage } from '../bus/read-message.ts';
import type { CallId } from '../ids.ts';
import { isUuid, toCallId } from '../ids.ts';
import type { PartyRole } from '../sip/role-rules.ts';

/** What the intake that has a call, or its audio, can be asked to do. `by`: the name of whoever asks. */
export type ControlCommand =
  | { readonly kind: 'pause' | 'resume'; readonly by: string }
  | { readonly kind: 'relabel'; readonly by: string; readonly legNo: number; readonly role: PartyRole }
  /** Audio that the recogniser did not take is recognised; the answer does not wait for it. */
  | { readonly kind: 'recognise' };

/** What each is answered with, as JSON; times are RFC 3339. */
export interface ControlResults {
  readonly pause: PauseResult;
  readonly resume: PauseResult;
  readonly relabel: { readonly found: boolean; readonly changed: boolean };
  readonly recognise: { readonly legs: number };
}

export interface PauseResult {
  readonly state: 'paused' | 'running';
  readonly since: string | null;
  /** Whether this request made it so. */
  readonly changed: boolean;
}

export interface ControlRequest {
  /** The same for each time that it is sent. */
  readonly id: string;
  readonly callId: CallId;
  readonly command: ControlCommand;
}

export interface ControlReply {
  /** Of the request. */
  readonly id: string;
  readonly outcome:
    | { readonly kind: 'done'; readonly result: unknown }
    /** This process does not have the call; another one may. */
    | { readonly kind: 'not-here' }
    | { readonly kind: 'failed'; readonly code: string };
}

export const REQUESTS = 'control';
export const REPLIES = 'control_reply';

const by = z.string().max(200);
const command: z.ZodType<ControlCommand> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('pause'), by }),
  z.object({ kind: z.literal('resume'), by }),
  z.object({
    kind: z.literal('relabel'),
    by,
    legNo: z.int().min(0),
    role: z.enum(['agent', 'customer']),
  }),
  z.object({ kind: z.literal('recognise') }),
]);
const request: z.ZodType<ControlRequest> = z.object({
  id: z.uuid(),
  callId: z.string().refine(isUuid).transform(toCallId),
  command,
});
const reply: z.ZodType<ControlReply> = z.object({
  id: z.string(),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('done'), result: z.unknown() }),
    z.object({ kind: z.literal('not-here') }),
    z.object({ kind: z.literal('failed'), code: z.string() }),
  ]),
});

const pauseResult = z.object({
  state: z.enum(['paused', 'running']),
  since: z.string().nullable(),
  changed: z.boolean(),
});
const results: { readonly [K in keyof ControlResults]: z.ZodType<ControlResults[K]> } = {
  pause: pauseResult,
  resume: pauseResult,
  relabel: z.object({ found: z.boolean(), changed: z.boolean() }),
  recognise: z.object({ legs: z.number() }),
};

/** @returns undefined for what is no request of this version */
export const readRequest = (message: string): ControlRequest | undefined => readMessage(request, message);

/** @returns undefined for what is no reply of this version */
export const readReply = (message: string): ControlReply | undefined => readMessage(reply, message);

/** @returns undefined where another version answered something else */
export function readResult<K extends keyof ControlResults>(
  kind: K,
  result: unknown,
): ControlResults[K] | undefined {
  const parsed = results[kind].safeParse(result);
  return parsed.success ? parsed.data : undefined;
}
