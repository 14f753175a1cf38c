import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Clock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import { toError } from '../src/errors.ts';
import type { Logger } from '../src/log.ts';
import { type Metrics, observe } from '../src/metrics.ts';
import { deleteOldCallDirectories, deleteOldRecordings } from '../src/recording/delete-old-recordings.ts';
import { fillSearch } from '../src/store/fill-search.ts';
import type { Pool } from '../src/store/pool.ts';
import { toStoreError } from '../src/store/pool.ts';
import { checkHealth, type StoreHealth, sweep, type SweepOutcome } from '../src/store/sweep.ts';
import type { MailboxAddress } from '../src/voicemail/mailbox-news.ts';
import { within } from '../src/within.ts';
import type { Role } from './role-type.ts';
import { settleLeftVoicemails } from './voicemails.ts';

export interface SweeperDeps {
  readonly pool: Pool;
  readonly config: Pick<Config, 'dataDir' | 'recording' | 'rows'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Messages of the mailbox came or went. */
  readonly onMailbox?: (address: MailboxAddress) => void;
}

/** How often each process that has the calls role looks; of all of them one sweeps at a time. */
const SWEEP_EVERY_MS = 300_000;
/** The processes do not look at the same moment. */
const SWEEP_SPREAD_MS = 30_000;
const LOOK_AGAIN_AFTER_MS = 300_000;
const CLOSE_WITHIN_MS = 5_000;

/**
 * Looks after the rows, at once and every five minutes: months made ahead, calls that hang, rows and recordings beyond
 * their time, sentences of before the search. A round that fails is logged and counted, and the next one tries again.
 */
export function startSweeper(deps: SweeperDeps): Role {
  const closing = new AbortController();
  const running = run(deps, closing.signal);
  let closed: Promise<void> | undefined;
  return {
    name: 'sweeper',
    close: () => {
      closing.abort();
      return (closed ??= within(CLOSE_WITHIN_MS, running).then(() => undefined));
    },
  };
}

async function run(deps: SweeperDeps, signal: AbortSignal): Promise<void> {
  const { pool, metrics, logger, clock } = deps;
  const isClosing = (): boolean => signal.aborted;
  let health: StoreHealth | undefined;
  showHealth(metrics, () => health);
  while (!isClosing()) {
    try {
      const outcome = await sweepOnce(deps);
      metrics.sweeps.inc({ outcome: outcome === undefined ? 'elsewhere' : 'done' });
      health = await checkHealth(pool, clock.wallTime());
      const searchable = await fillSearch(pool, { signal });
      if (searchable !== undefined && searchable.length > 0) {
        logger.info({ searchable }, 'sentences of before the search can be searched');
      }
    } catch (thrown) {
      if (isClosing()) return;
      metrics.sweeps.inc({ outcome: 'failed' });
      logger.warn(
        { err: toStoreError(thrown) },
        'the sweeper could not do its round; the next one tries again',
      );
    }
    await sleep(SWEEP_EVERY_MS + Math.random() * SWEEP_SPREAD_MS, undefined, { signal, ref: false }).catch(
      () => undefined,
    );
  }
}

/** One round. @returns undefined where another process is at it */
export async function sweepOnce(deps: SweeperDeps): Promise<SweepOutcome | undefined> {
  const { pool, config, metrics, logger, clock, onMailbox } = deps;
  const { giveUpAfterMs, keepDays, keepReadsDays } = config.rows;
  const outcome = await sweep(pool, {
    now: clock.wallTime(),
    giveUpAfterMs,
    lookAgainAfterMs: LOOK_AGAIN_AFTER_MS,
    keepDays,
    keepReadsDays,
  });
  if (outcome === undefined) return undefined;
  const { givenUp, dropped, madePartitions, reads } = outcome;
  if (madePartitions.length > 0) logger.info({ madePartitions }, 'months made ahead of time');
  if (reads > 0) logger.info({ rows: reads }, 'rows of the access log beyond their time were deleted');
  for (const [fault, callIds] of [
    ['lost', givenUp.lost],
    ['sentences_missing', givenUp.sentencesMissing],
  ] as const) {
    metrics.callsGivenUp.inc({ fault }, callIds.length);
    for (const callId of callIds) logger.error({ callId, fault }, 'a call hung and was given up');
  }
  const voicemails = await settleLeftVoicemails(deps, clock.wallTime());
  if (voicemails > 0) {
    logger.info({ voicemails }, 'messages that nobody had put into their mailboxes are there');
  }
  if (dropped !== undefined) {
    for (const mailbox of dropped.mailboxes) onMailbox?.(mailbox);
    if (dropped.partitions.length + dropped.calls > 0) {
      logger.info(
        { partitions: dropped.partitions, calls: dropped.calls },
        'rows beyond their time were deleted',
      );
    }
    const { keptFrom } = dropped;
    await Promise.all([
      deleteOldRecordings(config.recording.directory, keptFrom),
      deleteOldCallDirectories(join(config.dataDir, 'unrecognised'), keptFrom),
    ]).catch((thrown: unknown) => {
      logger.warn({ err: toError(thrown) }, 'audio of calls without rows could not be deleted');
    });
  }
  return outcome;
}

/** Of the last round; not a number until there was one. */
function showHealth(metrics: Metrics, read: () => StoreHealth | undefined): void {
  const show = (name: string, help: string, figure: (health: StoreHealth) => number): void => {
    observe(metrics, `callscribe_rows_${name}`, help, () => {
      const health = read();
      return health === undefined ? Number.NaN : figure(health);
    });
  };
  show(
    'months_ahead',
    'months that have their partitions and are yet to come; alarm below 1',
    (health) => health.monthsAhead,
  );
  show(
    'in_no_month',
    'sentences whose month nobody made in time; alarm above 0',
    (health) => health.sentencesInNoMonth,
  );
  show('calls_active', 'calls that go on, as the rows tell', (health) => health.activeCalls);
  show('calls_finishing', 'calls that have ended and wait for sentences', (health) => health.finishingCalls);
  show('dead_letters', 'facts that cannot become rows; alarm above 0', (health) => health.deadLetters);
}
