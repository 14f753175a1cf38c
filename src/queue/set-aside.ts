import { appendFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { encodeFact, type OutboxFact } from './parcel.ts';

export const SET_ASIDE_FILE = 'refused.ndjson';
const SET_ASIDE_MAX_BYTES = 67_108_864;

/**
 * Keeps a fact that will not become a row by itself where an operator finds it, one JSON object a line; beyond
 * 64 MiB it is dropped. Never rejects.
 */
export async function setAside(directory: string, fact: OutboxFact, logger: Logger): Promise<void> {
  const path = join(directory, SET_ASIDE_FILE);
  try {
    const bytes = await stat(path).then(
      ({ size }) => size,
      () => 0,
    );
    if (bytes >= SET_ASIDE_MAX_BYTES) throw new Error('the file for refused facts is full');
    await appendFile(path, `${encodeFact(fact)}\n`, { mode: 0o600 });
  } catch (thrown) {
    logger.error({ err: toError(thrown), jobId: fact.id }, 'a refused fact could not be kept');
  }
}
