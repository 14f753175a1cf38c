import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Sandbox } from '../../src/sandbox/server.ts';
import { recognise, startFaultySandbox, watchResources } from './faulted-recognition.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startFaultySandbox();
});
afterEach(async () => {
  await sandbox.close();
});

/** Specification §6.2: code → what to do next. */
const RETRY_TABLE: readonly (readonly [code: string, retry: 'no' | 'backoff' | 'new'])[] = [
  ['InvalidParameter', 'no'],
  ['CLIENT_ERROR', 'new'],
  ['UNSUPPORTED_FORMAT', 'no'],
  ['NO_VALID_AUDIO_ERROR', 'no'],
  ['NO_INPUT_AUDIO_ERROR', 'no'],
  ['EmptyAudio', 'no'],
  ['ClientDisconnect', 'new'],
  ['Arrearage', 'no'],
  ['DataInspectionFailed', 'no'],
  ['BadRequest.ResourceNotExist', 'no'],
  ['NotFound', 'no'],
  ['InvalidApiKey', 'no'],
  ['AccessDenied', 'no'],
  ['AccessDenied.Unpurchased', 'no'],
  ['Model.AccessDenied', 'no'],
  ['Workspace.AccessDenied', 'no'],
  ['AllocationQuota.FreeTierOnly', 'no'],
  ['ModelNotFound', 'no'],
  ['WorkSpaceNotFound', 'no'],
  ['Throttling', 'backoff'],
  ['Throttling.RateQuota', 'backoff'],
  ['Throttling.BurstRate', 'backoff'],
  ['Throttling.Concurrency', 'backoff'],
  ['Throttling.AllocationQuota', 'backoff'],
  ['PrepaidBillOverdue', 'no'],
  ['PostpaidBillOverdue', 'no'],
  ['CommodityNotPurchased', 'no'],
  ['InternalError', 'backoff'],
  ['InternalError.Algo', 'backoff'],
  ['SystemError', 'backoff'],
  ['ModelServiceFailed', 'backoff'],
  ['RequestTimeOut', 'new'],
  ['ModelUnavailable', 'backoff'],
  ['ServiceUnavailable', 'backoff'],
  // Codes of tomorrow.
  ['Throttling.Tomorrow', 'backoff'],
  ['InternalError.Tomorrow', 'backoff'],
  ['Tomorrow', 'no'],
];
const FAIL_MOMENTS = { starting: 'at=run-task', streaming: 'frame=5', finishing: 'at=finish' } as const;

describe.each(Object.entries(FAIL_MOMENTS))('task-failed while %s', (moment, at) => {
  it.each(RETRY_TABLE)('with %s: what to do next is %s', async (code, retry) => {
    const nothingLeft = await watchResources(sandbox);
    expect(sandbox.desk.order({ fault: `fail:code=${code},${at}` })).toMatchObject({ kind: 'ordered' });
    const { told, error } = await recognise(sandbox, moment === 'streaming' ? 'endless' : 'at once');
    expect(error).toMatchObject({
      kind: 'task',
      code: 'ASR_TASK_FAILED',
      dashscopeCode: code,
      retry,
      retryable: retry !== 'no',
    });
    expect(told.filter((name) => name !== 'events')).toEqual([
      ...(moment === 'starting' ? [] : ['open']),
      'error',
      'close',
    ]);
    await nothingLeft();
  });
});
