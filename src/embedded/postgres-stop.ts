import { setTimeout as sleep } from 'node:timers/promises';

import { stopIfUnused } from './postgres-lease.ts';
import type { PostgresPlacement } from './postgres-placement.ts';

// A program of its own, started by a process that is ending (see stopLater in postgres.ts). The sessions of
// that process are gone a moment after it; some tries bridge that moment.
const handed = JSON.parse(process.env['CALLSCRIBE_POSTGRES_TO_STOP'] ?? 'null') as {
  readonly placement: PostgresPlacement;
  readonly password: string;
} | null;

if (handed !== null) {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const outcome = await stopIfUnused(handed.placement, handed.password).catch(() => 'in-use' as const);
    if (outcome !== 'in-use') break;
    await sleep(100);
  }
}
