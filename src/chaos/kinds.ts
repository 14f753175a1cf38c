import type { SeededRandom } from '../seeded-random.ts';

/** What a run of chaos can do to the service. */
export const CHAOS_KINDS = [
  'none',
  'sockets',
  'redis-restart',
  'redis-flush',
  'postgres-restart',
  'kill-sentences',
  'kill-intake',
  'disk-full',
] as const;
export type ChaosKind = (typeof CHAOS_KINDS)[number];

/** Those that `all` runs in turn. */
export const ALL_KINDS: readonly ChaosKind[] = CHAOS_KINDS.filter((kind) => kind !== 'none');

export const KIND_TEXTS: Readonly<Record<ChaosKind, string>> = {
  none: 'nothing goes wrong',
  sockets: 'every socket to the recogniser is cut after 2 to 10 s',
  'redis-restart': 'Redis is ended and started again with its data, every 4 to 8 s',
  'redis-flush': 'Redis loses all that it has, every 2 to 5 s',
  'postgres-restart': 'Postgres is ended and started again, every 5 to 9 s',
  'kill-sentences': 'the process that writes sentences is killed, every 3 to 6 s',
  'kill-intake': 'the intake is killed while calls are up, every 8 to 14 s, and started again',
  'disk-full': 'the disk of the data directory is filled for some seconds, again and again',
};

/** What a kind acts upon. */
export interface ChaosTargets {
  readonly redis: {
    start(): Promise<void>;
    stop(how: 'SIGTERM' | 'SIGKILL'): Promise<void>;
    flush(): Promise<void>;
  };
  /** Ends Postgres; whoever keeps it starts it again. */
  readonly restartPostgres: (how: 'fast' | 'immediate') => Promise<void>;
  readonly killSentences: () => Promise<void>;
  readonly killIntake: () => Promise<void>;
  readonly disk: { fill(): Promise<void>; free(): Promise<void> };
  readonly random: SeededRandom;
  /** How long the times between harms are; 1: as their texts say. */
  readonly pace: number;
  /** @throws when the run is over */
  readonly wait: (ms: number) => Promise<void>;
}

/**
 * One turn of a kind: waits, then does harm and mends it. Undefined for those that do nothing by themselves.
 */
export function turnOf(kind: ChaosKind): ((targets: ChaosTargets) => Promise<void>) | undefined {
  const between = ({ random, wait, pace }: ChaosTargets, minMs: number, maxMs: number): Promise<void> =>
    wait((minMs + random() * (maxMs - minMs)) * pace);
  switch (kind) {
    case 'none':
    case 'sockets':
      return undefined;
    case 'redis-restart':
      return async (targets) => {
        await between(targets, 4_000, 8_000);
        await targets.redis.stop('SIGTERM');
        try {
          await between(targets, 500, 3_000);
        } finally {
          await targets.redis.start();
        }
      };
    case 'redis-flush':
      return async (targets) => {
        await between(targets, 2_000, 5_000);
        await targets.redis.flush();
      };
    case 'postgres-restart':
      return async (targets) => {
        await between(targets, 5_000, 9_000);
        await targets.restartPostgres(targets.random() < 0.5 ? 'fast' : 'immediate');
      };
    case 'kill-sentences':
      return async (targets) => {
        await between(targets, 3_000, 6_000);
        await targets.killSentences();
      };
    case 'kill-intake':
      return async (targets) => {
        await between(targets, 8_000, 14_000);
        await targets.killIntake();
      };
    case 'disk-full':
      return async (targets) => {
        await between(targets, 4_000, 7_000);
        await targets.disk.fill();
        try {
          await between(targets, 3_000, 6_000);
        } finally {
          await targets.disk.free();
        }
      };
  }
}
