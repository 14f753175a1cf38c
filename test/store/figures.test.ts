import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { completeCall } from '../../src/store/complete-call.ts';
import { loadCall } from '../../src/store/load-call.ts';
import { loadFigures } from '../../src/store/load-figures.ts';
import type { Pool } from '../../src/store/pool.ts';
import { createPool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentence } from '../../src/store/save-sentence.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { aCall, aSentence, finishing } from '../support/facts.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

describe("a call's figures", () => {
  it('are there when the call is complete, and not before', async () => {
    const call = aCall();
    const [agent, customer] = call.legs;
    const last = finishing(call, [2, 1]);
    await saveCall(pool, {
      ...last,
      legs: last.legs.map((leg) => ({
        ...leg,
        media: { heardMs: 59_000, unrecognisedMs: 1_000, concealedMs: 20 },
      })),
    });
    const ids = { callId: call.id, legId: agent!.id };
    await saveSentence(pool, aSentence({ ...ids, emoTag: 'negative', emoConfidence: 0.5 }));
    await saveSentence(pool, aSentence({ ...ids, sentenceNo: 2 }));
    expect(await completeCall(pool, call.id)).toBe('unchanged');
    expect(await loadFigures(pool, call.id)).toBeUndefined();
    await saveSentence(pool, aSentence({ callId: call.id, legId: customer!.id, legNo: 1, sentenceNo: 1 }));
    expect(await completeCall(pool, call.id)).toBe('complete');
    expect(await loadFigures(pool, call.id)).toMatchObject({
      revision: last.revision,
      spanMs: 60_000,
      agentTalkMs: 3_000,
      customerTalkMs: 1_500,
      overlapMs: 1_500,
      silenceMs: 57_000,
      sentences: 3,
      words: 3,
      characters: 33,
      heardMs: 118_000,
      recognisedMs: 116_000,
      concealedMs: 40,
      legs: [
        { legNo: 0, role: 'agent', emotion: { negative: 1, thirds: [-1, null, null] } },
        { legNo: 1, role: 'customer', sentences: 1 },
      ],
    });
  });

  it('are computed again when a later snapshot changes what they came from', async () => {
    const call = finishing(aCall(), [0, 0]);
    await saveCall(pool, call);
    expect(await completeCall(pool, call.id)).toBe('complete');
    const legs = [{ ...call.legs[0]!, sentenceCount: 1 }, call.legs[1]!];
    await saveCall(pool, { ...call, revision: call.revision + 1, legs });
    expect(await completeCall(pool, call.id)).toBe('unchanged');
    expect(await loadFigures(pool, call.id)).toMatchObject({ sentences: 0 });
    await saveSentence(pool, aSentence({ callId: call.id, legId: legs[0]!.id }));
    expect(await completeCall(pool, call.id)).toBe('unchanged');
    expect(await loadFigures(pool, call.id)).toMatchObject({ sentences: 1, revision: call.revision + 1 });
    expect(await loadCall(pool, call.id)).toMatchObject({ state: 'complete' });
  });
});
