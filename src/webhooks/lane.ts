import { CallscribeError } from '../errors.ts';
import type { CallId, LegId } from '../ids.ts';
import type { Logger } from '../log.ts';
import { encodeBody, type WebhookEvent, type WebhookEventType } from './events.ts';
import type { Send } from './sender.ts';
import { judge, type Verdict, type WebhookPolicy } from './verdict.ts';

/**
 * One of eight ways to an endpoint. Each call has its own, so that its messages go in order, one at a time, and an
 * endpoint has at most eight requests under way.
 */
export interface Lane {
  readonly endpointId: string;
  /** 0 to 7. */
  readonly lane: number;
}

/** A message that is ours for a while, with what its endpoint is like. */
export interface WaitingMessage {
  readonly id: string;
  readonly endpointId: string;
  /** The same for every attempt: the receiver's idempotency key. */
  readonly messageId: string;
  readonly type: WebhookEventType;
  readonly callId: CallId;
  readonly legId: LegId | null;
  readonly sentenceNo: number | null;
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly createdAt: Date;
  /** This one included. */
  readonly attempts: number;
  readonly firstTriedMsAgo: number;
  readonly url: string;
  /** Newest first. */
  readonly secrets: readonly string[];
  /** Of the endpoint, in a row, before this attempt. */
  readonly failures: number;
  readonly failingForMs: number;
}

/** What a lane needs of the rows. Rejections are those of the store. */
export interface LaneStore {
  claim(lane: Lane, leaseMs: number): Promise<WaitingMessage | undefined>;
  /** Undefined when what it tells of is gone. */
  loadEvent(message: WaitingMessage): Promise<WebhookEvent | undefined>;
  settle(message: WaitingMessage, verdict: Verdict): Promise<void>;
  drop(message: WaitingMessage): Promise<void>;
  /** 0 where the endpoint is not held. */
  heldForMs(endpointId: string): Promise<number>;
}

export interface LaneOptions {
  readonly store: LaneStore;
  readonly send: Send;
  readonly policy: WebhookPolicy;
  readonly backoffMs: (failures: number) => number;
  readonly logger: Logger;
  readonly onVerdict?: (verdict: Verdict['kind'] | 'dropped') => void;
  /** Aborted: no more messages are taken. */
  readonly closing: AbortSignal;
  /** Aborted: the request under way is given up, and comes again elsewhere. */
  readonly interrupt: AbortSignal;
}

/** Then another lane has its turn. */
const TURN_MAX_MESSAGES = 100;
/** Beyond the time that a request may take. */
const LEASE_MARGIN_MS = 10_000;

/** The endpoint is left alone for a while; what waits in the lane waits with it. */
export class LaneHeld extends CallscribeError {
  /** A whole number. */
  readonly forMs: number;

  constructor(forMs: number) {
    super('WEBHOOK_HELD', `the endpoint failed and is left alone for ${Math.ceil(forMs / 1_000)} s`, {
      retryable: true,
    });
    this.forMs = Math.ceil(forMs);
  }
}

/**
 * Sends what may go in a lane, one message after the other, until there is nothing left or its turn is over.
 *
 * @returns how many were tried
 * @throws {LaneHeld} when the endpoint does not want to be called now
 * @throws what the store throws
 */
export async function runLane(options: LaneOptions, lane: Lane): Promise<number> {
  const { store, policy, closing } = options;
  for (let tried = 0; tried < TURN_MAX_MESSAGES; tried += 1) {
    if (closing.aborted) return tried;
    const message = await store.claim(lane, policy.timeoutMs + LEASE_MARGIN_MS);
    if (message === undefined) {
      const forMs = await store.heldForMs(lane.endpointId);
      if (forMs > 0) throw new LaneHeld(forMs);
      return tried;
    }
    await deliver(options, message);
  }
  return TURN_MAX_MESSAGES;
}

async function deliver(options: LaneOptions, message: WaitingMessage): Promise<void> {
  const { store, send, policy, backoffMs, onVerdict, interrupt } = options;
  const event = await store.loadEvent(message);
  if (event === undefined) {
    await store.drop(message);
    onVerdict?.('dropped');
    return;
  }
  const { messageId, createdAt } = message;
  const outcome = await send(message, { messageId, body: encodeBody(event, createdAt) }, interrupt);
  const verdict = judge(outcome, message, policy, backoffMs);
  await store.settle(message, verdict);
  onVerdict?.(verdict.kind);
  report(options.logger, message, verdict);
}

function report(logger: Logger, message: WaitingMessage, verdict: Verdict): void {
  if (verdict.kind === 'delivered' || verdict.kind === 'release') return;
  const { endpointId, messageId, type, attempts } = message;
  const facts = { endpointId, messageId, type, attempts, failure: verdict.failure };
  if (verdict.kind === 'disable') {
    logger.error({ ...facts, reason: verdict.reason }, 'a webhook endpoint is disabled');
  } else if (verdict.kind === 'bury' || (verdict.kind === 'hold' && verdict.then.kind === 'bury')) {
    logger.error(facts, 'a webhook message goes to the dead letters');
  } else if (message.failures === 0) {
    logger.warn(facts, 'a webhook could not be delivered; it is tried again');
  } else {
    logger.debug(facts, 'a webhook could not be delivered; it is tried again');
  }
}
