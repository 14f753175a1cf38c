import { randomUUID } from 'node:crypto';

import type { Bus } from '../bus/bus.ts';
import { CallscribeError } from '../errors.ts';
import type { CallId } from '../ids.ts';
import {
  type ControlCommand,
  type ControlReply,
  type ControlRequest,
  type ControlResults,
  readReply,
  readResult,
  REPLIES,
  REQUESTS,
} from './commands.ts';

export interface ControlClientOptions {
  /** How long an answer is waited for. Default: 3,000 ms. */
  readonly answerWithinMs?: number;
}

const ANSWER_WITHIN_MS = 3_000;
/** The bus may lose a message: the request is sent again so often, and answered once. */
const SEND_AGAIN_MS = 500;
/** Commands that wait for an answer. */
const WAITING_MAX = 1_000;

type Waiting = (reply: ControlReply['outcome']) => void;

/** Asks the intake that has a call to do something to it, whichever process that is. */
export class ControlClient {
  readonly #bus: Pick<Bus, 'publish'>;
  readonly #answerWithinMs: number;
  readonly #waiting = new Map<string, Waiting>();
  #unsubscribe: () => Promise<void> = () => Promise.resolve();

  private constructor(bus: Pick<Bus, 'publish'>, answerWithinMs: number) {
    this.#bus = bus;
    this.#answerWithinMs = answerWithinMs;
  }

  /** @throws {CallscribeError} BUS_UNREACHABLE */
  static async open(
    bus: Pick<Bus, 'publish' | 'subscribe'>,
    { answerWithinMs = ANSWER_WITHIN_MS }: ControlClientOptions = {},
  ): Promise<ControlClient> {
    const client = new ControlClient(bus, answerWithinMs);
    client.#unsubscribe = await bus.subscribe(REPLIES, {
      onMessage: (message) => {
        const reply = readReply(message);
        if (reply !== undefined) client.#waiting.get(reply.id)?.(reply.outcome);
      },
      // What was lost is asked for again.
      onLost: () => undefined,
    });
    return client;
  }

  async close(): Promise<void> {
    await this.#unsubscribe();
  }

  /**
   * Resolves when the command has taken effect.
   *
   * @returns undefined where processes answered and none has the call
   * @throws {CallscribeError} CONTROL_TIMEOUT where nobody answered, CONTROL_FAILED, CONTROL_BUSY
   */
  async ask<K extends ControlCommand['kind']>(
    callId: CallId,
    command: Extract<ControlCommand, { readonly kind: K | string }> & { readonly kind: K },
  ): Promise<ControlResults[K] | undefined> {
    if (this.#waiting.size >= WAITING_MAX) {
      throw new CallscribeError('CONTROL_BUSY', `${WAITING_MAX} commands wait for an answer; ask again`, {
        retryable: true,
      });
    }
    const outcome = await this.#answer({ id: randomUUID(), callId, command });
    if (outcome.kind === 'not-here') return undefined;
    const result = outcome.kind === 'done' ? readResult(command.kind, outcome.result) : undefined;
    if (result !== undefined) return result;
    const found = outcome.kind === 'failed' ? outcome.code : 'an answer of another version';
    throw new CallscribeError('CONTROL_FAILED', `the intake could not ${command.kind} the call: ${found}`);
  }

  #answer(request: ControlRequest): Promise<ControlReply['outcome']> {
    const message = JSON.stringify(request);
    return new Promise((resolve, reject) => {
      let isElsewhere = false;
      const again = setInterval(() => {
        this.#bus.publish(REQUESTS, message);
      }, SEND_AGAIN_MS);
      const over = (): void => {
        clearInterval(again);
        clearTimeout(deadline);
        this.#waiting.delete(request.id);
      };
      const deadline = setTimeout(() => {
        over();
        if (isElsewhere) resolve({ kind: 'not-here' });
        else reject(unanswered(this.#answerWithinMs));
      }, this.#answerWithinMs);
      this.#waiting.set(request.id, (outcome) => {
        // Another process may have it still.
        if (outcome.kind === 'not-here') {
          isElsewhere = true;
          return;
        }
        over();
        resolve(outcome);
      });
      this.#bus.publish(REQUESTS, message);
    });
  }
}

function unanswered(ms: number): CallscribeError {
  return new CallscribeError(
    'CONTROL_TIMEOUT',
    `no intake answered within ${ms} ms: it may have done it. Ask again; whatever is done twice is done once`,
    { retryable: true },
  );
}
