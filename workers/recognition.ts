import { dashscopeTasks } from '../src/asr/dashscope-tasks.ts';
import { RecogniserHealth } from '../src/asr/recogniser-health.ts';
import { RESILIENCE, type ResiliencePolicy } from '../src/asr/resilience-policy.ts';
import type { ResilientSessionServices } from '../src/asr/resilient-session.ts';
import { systemClock } from '../src/clock.ts';
import type { ApiKey } from '../src/dashscope/connection.ts';
import { ConnectionPool } from '../src/dashscope/connection-pool.ts';
import type { Logger } from '../src/log.ts';
import { type Metrics, observe } from '../src/metrics.ts';

export interface RecognitionDeps {
  readonly url: string;
  readonly apiKey: ApiKey;
  readonly workspace: string | undefined;
  /** Default: what the vendor grants an account. */
  readonly startsPerSecond?: number | undefined;
  readonly policy?: Partial<ResiliencePolicy> | undefined;
  /** Default: one of its own. */
  readonly pool?: ConnectionPool | undefined;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** What all recognition sessions of a process share. Close it when the last session is over. */
export interface Recognition extends AsyncDisposable {
  readonly services: ResilientSessionServices;
  close(): Promise<void>;
}

/** One pool for all legs: it keeps within the account's starts a second and uses sockets again. */
export function openRecognition(deps: RecognitionDeps): Recognition {
  const { url, apiKey, workspace, startsPerSecond, metrics, logger } = deps;
  const startRate = startsPerSecond === undefined ? undefined : { perSecond: startsPerSecond };
  const pool = deps.pool ?? new ConnectionPool({ url, apiKey, workspace, startRate });
  const health = new RecogniserHealth({ logger });
  const show = (name: string, help: string, read: () => number): void => {
    observe(metrics, name, help, read);
  };
  show(
    'callscribe_asr_starts_waiting',
    'recognition tasks that wait for their turn',
    () => pool.counters.waiting,
  );
  show('callscribe_asr_connections', 'recognition connections in use', () => pool.counters.inUse);
  show(
    'callscribe_asr_fatal',
    'faults that stop recognition until someone acts (unpaid, key, model, hot words); audio is kept meanwhile',
    () => health.standing,
  );
  const close = async (): Promise<void> => {
    if (deps.pool === undefined) await pool.close();
  };
  return {
    services: {
      startTask: dashscopeTasks({ url, apiKey, workspace, pool, logger }),
      health,
      policy: { ...RESILIENCE, ...deps.policy },
      clock: systemClock,
      random: Math.random,
      logger,
      onOutcome: (outcome) => {
        metrics.asrOutcomes.inc({ outcome });
      },
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
