import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { newCallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { Secret } from '../../src/secret.ts';
import { completeCall } from '../../src/store/complete-call.ts';
import { giveUpCalls } from '../../src/store/give-up-calls.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { publishWebhook } from '../../src/store/publish-webhook.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentences } from '../../src/store/save-sentence.ts';
import { addEndpoint } from '../../src/store/webhook-endpoints.ts';
import { loadUnknownNames } from '../../src/store/webhook-names.ts';
import type { FinalSentence } from '../../src/transcript/sentence.ts';
import { newSecret, parseEndpointUrl } from '../../src/webhooks/endpoint.ts';
import { WEBHOOK_EVENT_TYPES } from '../../src/webhooks/events.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { aCall, aSentence, finishing } from '../support/facts.ts';
import { leaveMessage } from '../support/voicemails.ts';

let database: TestDatabase;
let pool: Pool;

/** Tenant `default` has three endpoints, one of them without a name; another tenant has one of the same name. */
beforeEach(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
  await add('default', 'crm');
  await add('default', 'wfm');
  await add('default', undefined);
  await add('other', 'crm');
});

afterEach(async () => {
  await pool.end();
  await database.drop();
});

const add = (tenant: string, name: string | undefined): Promise<string> =>
  addEndpoint(pool, {
    tenant,
    name,
    url: parseEndpointUrl(`https://crm.example.com/${tenant}/${name ?? 'unnamed'}`),
    eventTypes: WEBHOOK_EVENT_TYPES,
    secret: new Secret(newSecret()),
  });

/** As a rule sets it; undefined: no rule does. */
type Told = readonly string[] | undefined;

const callOf = (webhooks: Told, over: Partial<CallRecord> = {}): CallRecord =>
  aCall({ metadata: { kind: 'plain', route: { rule: 'a', parameters: null, webhooks } }, ...over });

const sentenceOf = (call: CallRecord, webhooks: Told, sentenceNo = 1): FinalSentence =>
  aSentence({ callId: call.id, legId: call.legs[0]!.id, tenant: call.tenant, webhooks, sentenceNo });

/** Which endpoint has which messages of a call. */
async function toldOf({ id }: Pick<CallRecord, 'id'>): Promise<Readonly<Record<string, readonly string[]>>> {
  const { rows } = await pool.query<{ path: string; types: string[] }>(
    `select substr(url, 25) as path, array_agg(type order by message.id) as types
       from webhook_messages message join webhook_endpoints endpoint on endpoint.id = endpoint_id
      where call_id = $1 group by 1 order by 1`,
    [id],
  );
  return Object.fromEntries(rows.map(({ path, types }) => [path, types]));
}

const ALL = ['default/crm', 'default/unnamed', 'default/wfm'];
const CASES: readonly (readonly [string, Told, readonly string[]])[] = [
  ['nobody where the rule says none', [], []],
  ['one of two', ['wfm'], ['default/wfm']],
  ['two', ['wfm', 'crm'], ['default/crm', 'default/wfm']],
  ['all, named or not, where the rule says nothing', undefined, ALL],
  ['nobody by a name that no endpoint has', ['crm-old'], []],
  ['nobody by a name that is made of signs', ['a"b\\c,{}', 'null'], []],
];

describe('a call and its sentences are told to', () => {
  it.each(CASES)('%s', async (_, webhooks, paths) => {
    const call = callOf(webhooks);
    await saveCall(pool, call);
    await saveSentences(pool, [sentenceOf(call, webhooks)]);
    await saveCall(pool, finishing(call, [1, 0]));
    await completeCall(pool, call.id);
    await publishWebhook(pool, { type: 'qa.finding', key: 'k', callId: call.id });
    const types = ['call.started', 'sentence.final', 'call.complete', 'qa.finding'];
    expect(await toldOf(call)).toEqual(Object.fromEntries(paths.map((path) => [path, types])));
  });

  it.each(CASES)('%s, also where the sentences are rows before their call', async (_, webhooks, paths) => {
    const call = callOf(webhooks);
    await saveSentences(pool, [sentenceOf(call, webhooks), sentenceOf(call, webhooks, 2)]);
    const types = ['sentence.final', 'sentence.final'];
    expect(await toldOf(call)).toEqual(Object.fromEntries(paths.map((path) => [path, types])));
    await saveCall(pool, call);
    const withStart = [...types, 'call.started'];
    expect(await toldOf(call)).toEqual(Object.fromEntries(paths.map((path) => [path, withStart])));
  });

  it.each(CASES)('%s, also when it is stored at its end', async (_, webhooks, paths) => {
    const call = callOf(webhooks, { state: 'failed' });
    await saveCall(pool, call);
    const types = ['call.started', 'call.complete'];
    expect(await toldOf(call)).toEqual(Object.fromEntries(paths.map((path) => [path, types])));
  });

  it.each(CASES)('%s, with a message that the caller left', async (_, webhooks, paths) => {
    const id = await leaveMessage(pool, webhooks === undefined ? {} : { webhooks });
    const types = ['call.started', 'sentence.final', 'call.complete', 'voicemail.ready'];
    const told = await toldOf({ id });
    expect(Object.keys(told)).toEqual(paths);
    for (const path of paths) expect(told[path]!.toSorted()).toEqual(types.toSorted());
  });

  it('each by itself, where one statement stores the sentences of many', async () => {
    const calls = CASES.map(([, webhooks, paths]) => ({ call: callOf(webhooks), webhooks, paths }));
    await saveSentences(
      pool,
      calls.map(({ call, webhooks }) => sentenceOf(call, webhooks)),
    );
    for (const { call, paths } of calls) expect(Object.keys(await toldOf(call))).toEqual(paths);
  });

  it('the endpoint of that name of their own tenant', async () => {
    const call = callOf(['crm'], { tenant: 'other' });
    await saveCall(pool, call);
    await saveSentences(pool, [sentenceOf(call, ['crm'])]);
    expect(await toldOf(call)).toEqual({ 'other/crm': ['call.started', 'sentence.final'] });
  });

  it('nobody until their first snapshot, where only sentences came and the call was given up', async () => {
    const call = callOf(['crm']);
    await saveSentences(pool, [sentenceOf(call, ['crm'])]);
    const later = { now: new Date(Date.now() + 3_600_000), afterMs: 60_000, lookAgainAfterMs: 60_000 };
    expect((await giveUpCalls(pool, later)).lost).toEqual([call.id]);
    expect(await toldOf(call)).toEqual({ 'default/crm': ['sentence.final'] });
    await saveCall(pool, { ...call, state: 'failed' });
    expect(await toldOf(call)).toEqual({
      'default/crm': ['sentence.final', 'call.started', 'call.complete'],
    });
  });

  it('whom the rule names, whatever else stands in the metadata', async () => {
    for (const metadata of [
      {},
      { route: null },
      { route: 'crm' },
      { route: { webhooks: null } },
      { webhooks: [] },
    ]) {
      const call = aCall({ metadata });
      await saveCall(pool, call);
      expect(Object.keys(await toldOf(call)), JSON.stringify(metadata)).toEqual(ALL);
    }
  });
});

it('names that no endpoint has are found in the calls of the last hour', async () => {
  const now = new Date();
  const at = (agoMs: number): Partial<CallRecord> => ({ id: newCallId(new Date(now.getTime() - agoMs)) });
  await saveCall(pool, callOf(['crm', 'crm-old'], at(60_000)));
  const newest = callOf(['crm-old'], at(0));
  await saveCall(pool, newest);
  await saveCall(pool, callOf(['wfm'], { ...at(60_000), tenant: 'other' }));
  await saveCall(pool, callOf(['long-gone'], at(7_200_000)));
  await saveCall(pool, callOf([], at(0)));
  await saveCall(pool, callOf(undefined, at(0)));
  expect(await loadUnknownNames(pool, now)).toEqual([
    { tenant: 'default', name: 'crm-old', callId: newest.id },
    { tenant: 'other', name: 'wfm', callId: expect.any(String) as string },
  ]);
  await add('default', 'crm-old');
  expect(await loadUnknownNames(pool, now)).toMatchObject([{ name: 'wfm' }]);
});
