import { once } from 'node:events';

import type { WebSocket } from '@fastify/websocket';
import { z } from 'zod';

import type { CallId } from '../ids.ts';
import { CALLS_MAX, type ManyStart } from '../live/following.ts';
import { POSITION_MAX_CHARACTERS, readPosition } from '../live/position.ts';
import { ENDED } from '../live/subscription.ts';

/** As many positions as there may be, each of two legs with some thousand sentences, fit in. */
export const RESUME_MESSAGE_MAX_BYTES = 262_144;
const FIRST_MESSAGE_WITHIN_MS = 10_000;

/** Where a client goes on in its calls: its own account, so that no process need know it. */
const resumeMessage = z.strictObject({
  positions: z
    .record(z.uuid().toLowerCase(), z.string().max(POSITION_MAX_CHARACTERS).transform(positionOf))
    .refine((positions) => Object.keys(positions).length <= CALLS_MAX),
  since: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text))
    .optional(),
});

/** `3;0:17;1:9`, or `ended` where it ends in `;end`. */
function positionOf(text: string, context: z.RefinementCtx): ReturnType<typeof readPosition> | 'ended' {
  if (text === 'end' || text.endsWith(ENDED)) return 'ended';
  const position = readPosition(text);
  if (position === undefined) context.addIssue({ code: 'custom', message: 'no position' });
  return position;
}

/** @returns undefined where the text is no such message */
export function readResumeMessage(text: string): ManyStart | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const read = resumeMessage.safeParse(json);
  if (!read.success) return undefined;
  const calls = new Map(
    Object.entries(read.data.positions).flatMap(([callId, position]) =>
      position === undefined ? [] : [[callId as CallId, position] as const],
    ),
  );
  return { kind: 'positions', calls, since: read.data.since };
}

/**
 * The first message of a client that said it would tell where it goes on. Where it is none, or does not come in time, the
 * socket is closed with 4400.
 *
 * @returns undefined where the socket is closed
 */
export async function receiveResumeMessage(socket: WebSocket): Promise<ManyStart | undefined> {
  try {
    const signal = AbortSignal.timeout(FIRST_MESSAGE_WITHIN_MS);
    const [content, isBinary] = (await Promise.race([
      once(socket, 'message', { signal }),
      once(socket, 'close', { signal }).then(() => []),
    ])) as [Buffer?, boolean?];
    const start = content === undefined || isBinary === true ? undefined : readResumeMessage(String(content));
    if (start !== undefined) return start;
  } catch {
    // Too late, or not a WebSocket frame.
  }
  socket.close(4400, 'positions_invalid');
  return undefined;
}
