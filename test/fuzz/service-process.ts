/**
 * The service under fuzz in a process of its own (`node --expose-gc`), from its environment. Tells over IPC where it
 * listens, and on request what it holds, and what it has stored.
 */
import process from 'node:process';

import { loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/log.ts';
import { setSipTimers } from '../../src/sipstack/sipjs.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import type { StoredCall } from '../../src/store/stored.ts';
import { ROLES, startService } from '../../workers/service.ts';
import type { FromService, StoredSpeech, ToService } from './service-messages.ts';

const t1Ms = Number(process.env['FUZZ_SIP_T1_MS'] ?? 500);
setSipTimers({ t1Ms, t2Ms: 8 * t1Ms, t4Ms: 10 * t1Ms });

const errors: Record<string, number> = {};
const lines: string[] = [];
const failures: string[] = [];
const tell = (message: FromService): void => {
  process.send?.(message);
};
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (thrown: unknown) => {
    failures.push(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
  });
}
process.once('disconnect', () => process.exit());

const service = await startService({
  config: loadConfig(process.env),
  roles: ROLES,
  logger: createLogger({
    level: 'warn',
    format: 'json',
    destination: {
      write: (line: string) => {
        const { level, msg } = JSON.parse(line) as { level: number; msg: string };
        const name = `${level >= 50 ? 'error' : 'warn'}: ${msg}`;
        errors[name] = (errors[name] ?? 0) + 1;
        // Three of each kind tell what it is.
        if (level >= 50 && errors[name] <= 3) lines.push(line.slice(0, 1_500));
      },
    },
  }),
});
tell({ kind: 'ready', sipAddresses: service.sipAddresses, httpUrl: service.httpUrl });

async function readSpeech(sipCallIds: readonly string[]): Promise<Record<string, StoredSpeech | undefined>> {
  const speech: Record<string, StoredSpeech | undefined> = {};
  for (const sipCallId of sipCallIds) {
    const { rows } = await service.pool!.query<{ id: StoredCall['id']; state: string }>(
      'select id, state from calls where sip_call_id = $1',
      [sipCallId],
    );
    const [row] = rows;
    if (row === undefined) continue;
    const legs = await loadLegs(service.pool!, row.id);
    const sentences = await loadTranscript(service.pool!, row.id);
    speech[sipCallId] = {
      state: row.state,
      sentences: sentences
        .map(({ legId, text, beginMs, endMs }) => ({
          leg: legs.find(({ id }) => id === legId)?.legNo ?? -1,
          text,
          beginMs,
          endMs,
        }))
        .sort((a, b) => a.leg - b.leg || a.beginMs - b.beginMs),
    };
  }
  return speech;
}

function count(resources: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of resources) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

async function obey(order: ToService): Promise<void> {
  if (order.kind === 'close') {
    await service.close();
    tell({ kind: 'closed', id: order.id });
    process.disconnect();
    return;
  }
  if (order.kind === 'speech') {
    tell({ kind: 'speech', id: order.id, speech: await readSpeech(order.sipCallIds) });
    return;
  }
  if (order.collect) {
    // Finalisers of the first run make garbage for the next.
    for (let run = 0; run < 3; run += 1) {
      globalThis.gc?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  tell({
    kind: 'snapshot',
    id: order.id,
    snapshot: {
      heapBytes: heapUsed,
      externalBytes: external,
      rssBytes: rss,
      handles: count(process.getActiveResourcesInfo()),
      errors,
      lines,
      failures,
    },
  });
}

process.on('message', (order: ToService) => {
  void obey(order);
});
