import type { Bus } from '../bus/bus.ts';
import { CallscribeError, toError } from '../errors.ts';
import type { CallId } from '../ids.ts';
import type { Logger } from '../log.ts';
import {
  type ControlCommand,
  type ControlReply,
  type ControlRequest,
  readRequest,
  REPLIES,
  REQUESTS,
} from './commands.ts';

export interface ControlServerOptions {
  readonly bus: Pick<Bus, 'publish' | 'subscribe'>;
  /**
   * Does it, and resolves when it has taken effect. May come twice and must not do harm then.
   *
   * @returns what to answer; undefined where this process does not have the call
   */
  readonly execute: (callId: CallId, command: ControlCommand) => Promise<object | undefined>;
  readonly logger: Logger;
  readonly onCommand?: (kind: ControlCommand['kind'], outcome: ControlReply['outcome']['kind']) => void;
}

/** Answers that are kept for a request that comes again because its answer was lost. */
const ANSWERS_MAX = 256;

/**
 * Takes commands from the bus and answers each that can be read. A request that comes again while it is being done, or
 * soon after, gets the same answer.
 *
 * @returns what ends it
 * @throws {CallscribeError} BUS_UNREACHABLE
 */
export async function serveControl(options: ControlServerOptions): Promise<() => Promise<void>> {
  const { bus } = options;
  const answers = new Map<string, Promise<ControlReply['outcome']>>();
  return bus.subscribe(REQUESTS, {
    onMessage: (message) => {
      const request = readRequest(message);
      if (request === undefined) return;
      let answer = answers.get(request.id);
      if (answer === undefined) {
        answer = execute(options, request);
        answers.set(request.id, answer);
        if (answers.size > ANSWERS_MAX) for (const id of [...answers.keys()].slice(0, 1)) answers.delete(id);
      }
      void answer.then((outcome) => {
        bus.publish(REPLIES, JSON.stringify({ id: request.id, outcome } satisfies ControlReply));
      });
    },
    // Whoever asked asks again.
    onLost: () => undefined,
  });
}

/** Never rejects. */
async function execute(
  { execute: run, logger, onCommand }: ControlServerOptions,
  { callId, command }: ControlRequest,
): Promise<ControlReply['outcome']> {
  const outcome = await run(callId, command).then(
    (result) =>
      result === undefined ? ({ kind: 'not-here' } as const) : ({ kind: 'done', result } as const),
    (error: unknown) => {
      logger.error({ err: toError(error), callId, command: command.kind }, 'a command to a call failed');
      return { kind: 'failed', code: error instanceof CallscribeError ? error.code : 'INTERNAL' } as const;
    },
  );
  onCommand?.(command.kind, outcome.kind);
  return outcome;
}
