import type { ResilientSessionServices } from '../src/asr/resilient-session.ts';
import type { Bus } from '../src/bus/bus.ts';
import type { Publisher } from '../src/call/publisher.ts';
import type { CallRegistry } from '../src/call/registry.ts';
import type { Config } from '../src/config.ts';
import { runCommand } from '../src/control/call-control.ts';
import { serveControl } from '../src/control/control-server.ts';
import { toError } from '../src/errors.ts';
import type { CallId } from '../src/ids.ts';
import type { Logger } from '../src/log.ts';
import type { Metrics } from '../src/metrics.ts';
import { openSpoolKey } from '../src/recording/spool-key.ts';
import { within } from '../src/within.ts';
import { recogniseKept } from './recognise-kept.ts';
import { unrecognisedCalls } from './unrecognised.ts';

export interface CallControlDeps {
  readonly config: Pick<Config, 'dataDir' | 'recording'>;
  readonly registry: CallRegistry;
  readonly bus: Bus;
  readonly recognition: ResilientSessionServices;
  readonly publisher: Publisher;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

const CLOSE_WITHIN_MS = 10_000;

/**
 * Takes commands to the calls of this intake, and to the audio that it keeps.
 *
 * @throws {CallscribeError} BUS_UNREACHABLE, RECORDING_KEY
 */
export async function startCallControl(deps: CallControlDeps): Promise<{ close(): Promise<void> }> {
  const { config, registry, bus, recognition, publisher, metrics, logger } = deps;
  const calls = unrecognisedCalls(config);
  const spoolKey = await openSpoolKey(config.recording.keyFile);
  /** Calls whose audio is recognised, or waits for its turn: one after the other, calls that go on come first. */
  const waiting = new Set<CallId>();
  let turn = Promise.resolve();
  let isClosing = false;

  const recognise = async (id: CallId): Promise<{ readonly legs: number } | undefined> => {
    const call = await calls.load(id);
    if (call === undefined) return undefined;
    if (!waiting.has(id)) {
      waiting.add(id);
      turn = turn.then(() => recogniseInTurn(id));
    }
    return { legs: call.legs.length };
  };

  const recogniseInTurn = async (id: CallId): Promise<void> => {
    waiting.delete(id);
    if (isClosing) return;
    try {
      const outcome = await recogniseKept({ calls, recognition, publisher, spoolKey }, id);
      const sentences = outcome.kind === 'done' ? outcome.sentences : 0;
      logger.info({ callId: id, outcome: outcome.kind, sentences }, 'kept audio was recognised');
    } catch (error) {
      logger.error({ err: toError(error), callId: id }, 'kept audio could not be recognised; it is kept on');
    }
  };

  const stop = await serveControl({
    bus,
    execute: (callId, command) => runCommand({ registry, recognise }, callId, command),
    logger,
    onCommand: (command, outcome) => {
      metrics.controlCommands.inc({ command, outcome });
    },
  });
  return {
    close: async () => {
      await stop();
      isClosing = true;
      // What is not done is kept, and may be asked for again.
      await within(CLOSE_WITHIN_MS, turn);
    },
  };
}
