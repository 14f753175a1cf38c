import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { newCallId } from '../../src/ids.ts';
import { countCallRows, sumOfRows } from '../../src/store/delete-call.ts';
import { loadFigures } from '../../src/store/load-figures.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { storeCompleteCall, storeRecording } from '../support/api-calls.ts';
import { aCall } from '../support/facts.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

async function ask(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const response = await api.fetch(`/v1/calls/${path}`, {
    method,
    token: TEST_TOKEN,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return { ...((await response.json()) as Record<string, unknown>), status: response.status };
}

describe('what is asked of calls that cannot do it', { timeout: 30_000 }, () => {
  it.each(['pause', 'resume'])('%s: of none is not found, of an ended one a conflict', async (kind) => {
    expect(await ask('POST', `${newCallId()}/${kind}`)).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(await ask('POST', `nonsense/${kind}`)).toMatchObject({ status: 400, code: 'REQUEST_INVALID' });
    const { id } = await storeCompleteCall(api.pool);
    expect(await ask('POST', `${id}/${kind}`)).toMatchObject({ status: 409, code: 'CALL_NOT_RUNNING' });
  });

  it('pause: of one whose intake does not answer is a time-out that may be asked again', async () => {
    const call = aCall();
    await saveCall(api.pool, call);
    expect(await ask('POST', `${call.id}/pause`)).toMatchObject({ status: 504, code: 'CONTROL_TIMEOUT' });
  });

  it('delete and recognise: of a running one is a conflict', async () => {
    const call = aCall();
    await saveCall(api.pool, call);
    expect(await ask('DELETE', call.id)).toMatchObject({ status: 409, code: 'CALL_RUNNING' });
    expect(await ask('POST', `${call.id}/recognise`)).toMatchObject({ status: 409, code: 'CALL_RUNNING' });
    expect(sumOfRows(await countCallRows(api.pool, call.id))).toBeGreaterThan(0);
  });

  it('relabel: says what is wrong with the role and the leg', async () => {
    const { id } = await storeCompleteCall(api.pool);
    for (const body of [{ role: 'boss' }, {}, { role: 'agent', name: 'x' }, undefined]) {
      expect(await ask('PATCH', `${id}/legs/0`, body)).toMatchObject({ status: 400 });
    }
    const role = { role: 'agent' };
    expect(await ask('PATCH', `${id}/legs/9`, role)).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(await ask('PATCH', `${id}/legs/-1`, role)).toMatchObject({ status: 400 });
  });
});

describe('an ended call', { timeout: 30_000 }, () => {
  it('takes another role for a leg, and its figures follow', async () => {
    const { id } = await storeCompleteCall(api.pool);
    const before = await loadFigures(api.pool, id);
    const changed = { call_id: id, leg_no: 0, role: 'customer', status: 200 };
    expect(await ask('PATCH', `${id}/legs/0`, { role: 'customer' })).toEqual({ ...changed, changed: true });
    expect(await ask('PATCH', `${id}/legs/0`, { role: 'customer' })).toEqual({ ...changed, changed: false });
    expect((await loadLegs(api.pool, id))[0]).toMatchObject({
      role: 'customer',
      roleEvidence: { rule: 'operator', saw: 'test' },
    });
    const after = await loadFigures(api.pool, id);
    expect(before?.agentTalkMs).toBeGreaterThan(0);
    expect(after?.agentTalkMs).toBe(0);
  });

  it('is deleted with its rows and its recording, and is not there then', async () => {
    const call = await storeCompleteCall(api.pool);
    await storeRecording(api.recordingDir, call);
    const gone = await ask('DELETE', call.id);
    expect(gone).toMatchObject({
      status: 200,
      call_id: call.id,
      files: 1,
      left: { rows: 0, files: 0, outbox: 0, queue: 0 },
    });
    expect(gone['rows']).toBeGreaterThan(3);
    expect(sumOfRows(await countCallRows(api.pool, call.id))).toBe(0);
    expect(await ask('DELETE', call.id)).toMatchObject({ status: 404 });
  });
});
