import { randomUUID } from 'node:crypto';

import { encodeBody } from './events.ts';
import { createGuardedAgent, type GuardedAgentOptions } from './guarded-agent.ts';
import { createSender, type Destination, type SendOutcome } from './sender.ts';

export interface TryOptions extends Pick<GuardedAgentOptions, 'allow'> {
  readonly timeoutMs: number;
  readonly now: () => Date;
}

/** Sends one `webhook.test` at once, over a connection of its own, and tells what came of it. Never rejects. */
export async function tryEndpoint(
  { allow, timeoutMs, now }: TryOptions,
  endpointId: string,
  destination: Destination,
): Promise<SendOutcome> {
  const agent = createGuardedAgent({ allow, connectTimeoutMs: timeoutMs });
  try {
    const body = encodeBody({ type: 'webhook.test', data: { endpointId } }, now());
    const message = { messageId: `test_${randomUUID()}`, body };
    return await createSender({ agent, timeoutMs, now })(destination, message, new AbortController().signal);
  } finally {
    await agent.destroy();
  }
}
