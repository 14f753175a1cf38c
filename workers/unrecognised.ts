import { join } from 'node:path';

import type { KeepUnrecognised } from '../src/call/unrecognised.ts';
import type { Config } from '../src/config.ts';
import { toError } from '../src/errors.ts';
import type { Logger } from '../src/log.ts';
import type { Metrics } from '../src/metrics.ts';
import { legFileName } from '../src/recording/recording-writer.ts';
import { UnrecognisedCalls } from '../src/recovery/unrecognised-calls.ts';
import { callsDirOf } from './recordings.ts';

export const unrecognisedCalls = ({ dataDir }: Pick<Config, 'dataDir'>): UnrecognisedCalls =>
  new UnrecognisedCalls({ dataDir, legFileName });

export interface UnrecognisedKeeperDeps {
  readonly config: Pick<Config, 'dataDir'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Keeps what the recogniser did not take for `npm run recognise`. */
export function unrecognisedKeeper({ config, metrics, logger }: UnrecognisedKeeperDeps): KeepUnrecognised {
  const calls = unrecognisedCalls(config);
  return async (call) => {
    const facts = { callId: call.record.id, legs: call.legs.length };
    try {
      await calls.keep(call, join(callsDirOf(config), call.record.id));
      metrics.unrecognisedCalls.inc({ outcome: 'kept' });
      logger.error(facts, 'a call has audio that is not recognised: it is kept for npm run recognise');
    } catch (error) {
      metrics.unrecognisedCalls.inc({ outcome: 'lost' });
      logger.error(
        { ...facts, err: toError(error) },
        'a call has audio that is not recognised, and that could not be kept',
      );
    }
  };
}
