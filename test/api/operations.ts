import type { CallRecord } from '../../src/call/record.ts';
import { newCallId } from '../../src/ids.ts';
import { Secret } from '../../src/secret.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveEvent } from '../../src/store/save-event.ts';
import { createTranscription } from '../../src/store/transcriptions.ts';
import { addEndpoint } from '../../src/store/webhook-endpoints.ts';
import { newSecret, parseEndpointUrl } from '../../src/webhooks/endpoint.ts';
import type { TestApi } from '../support/api.ts';
import { recordedEvent } from '../support/api-calls.ts';
import { answerCommands } from '../support/control.ts';
import { aCall } from '../support/facts.ts';
import { leaveMessage } from '../support/voicemails.ts';

/** What one check of an operation is about: tenant `a` has this call, complete and recorded. */
export interface OperationWorld {
  readonly api: TestApi;
  readonly call: CallRecord;
}

/** How an operation is asked so that it answers well. */
export interface OperationRequest {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, or a form. */
  readonly body?: object;
}

export interface OperationCase {
  readonly ask: (world: OperationWorld) => OperationRequest | Promise<OperationRequest>;
  /** Of the answer to whoever may ask. */
  readonly status: number;
  /**
   * What whoever may see another tenant only is told: `not-found`; or, of lists and of what belongs to the one who
   * asks, `nothing`: an answer without the call's id and without what was said in it.
   */
  readonly otherTenant: 'not-found' | 'nothing';
}

const ofCall = ({ call }: OperationWorld): OperationRequest => ({ path: { id: call.id } });

/** A call of tenant `a` that goes on, with an intake that does what it is told. */
const ofRunningCall = async ({ api }: OperationWorld): Promise<OperationRequest> => {
  await answerCommands(api.bus);
  const call = aCall({ tenant: 'a' });
  await saveCall(api.pool, call);
  return { path: { id: call.id } };
};

/** An endpoint of tenant `a`, whose address holds the call's id, so that whoever is shown it is shown that. */
const ofWebhook = async ({ api, call }: OperationWorld): Promise<OperationRequest> => {
  await api.pool.query('delete from webhook_endpoints'); // A tenant may have a few only.
  const id = await addEndpoint(api.pool, {
    tenant: 'a',
    url: parseEndpointUrl(`https://127.0.0.1:9/${call.id}`),
    eventTypes: ['call.complete'],
    secret: new Secret(newSecret()),
  });
  return { path: { id } };
};

/** A message that was left in the call, whose mailbox has the call's id, so that whoever is shown it is shown that. */
const ofVoicemail = async ({ api, call }: OperationWorld): Promise<OperationRequest> => {
  const { recordingDir } = api;
  return { path: { id: await leaveMessage(api.pool, { tenant: 'a', mailbox: call.id, recordingDir }) } };
};

/** A row for each operation of /openapi.json, by its operationId; the matrix fails where one is missing. */
export const OPERATIONS: Readonly<Record<string, OperationCase>> = {
  listCalls: { ask: () => ({ query: { limit: '200' } }), status: 200, otherTenant: 'nothing' },
  getCall: { ask: ofCall, status: 200, otherTenant: 'not-found' },
  getTranscript: { ask: ofCall, status: 200, otherTenant: 'not-found' },
  getRecording: { ask: ofCall, status: 200, otherTenant: 'not-found' },
  search: { ask: () => ({ query: { q: 'says' } }), status: 200, otherTenant: 'nothing' },
  pauseCall: { ask: ofRunningCall, status: 200, otherTenant: 'not-found' },
  resumeCall: { ask: ofRunningCall, status: 200, otherTenant: 'not-found' },
  relabelLeg: {
    ask: ({ call }) => ({ path: { id: call.id, leg_no: '0' }, body: { role: 'customer' } }),
    status: 200,
    otherTenant: 'not-found',
  },
  recogniseCall: {
    ask: async (world) => {
      await answerCommands(world.api.bus);
      return ofCall(world);
    },
    status: 202,
    otherTenant: 'not-found',
  },
  followCall: { ask: ofCall, status: 200, otherTenant: 'not-found' },
  followLive: { ask: () => ({}), status: 200, otherTenant: 'nothing' },
  makeTicket: { ask: () => ({}), status: 201, otherTenant: 'nothing' },
  listWebhooks: {
    ask: async (world) => {
      await ofWebhook(world);
      return {};
    },
    status: 200,
    otherTenant: 'nothing',
  },
  addWebhook: {
    ask: () => ({ body: { url: 'https://crm.example.com/hooks' } }),
    status: 201,
    otherTenant: 'nothing',
  },
  getWebhook: { ask: ofWebhook, status: 200, otherTenant: 'not-found' },
  setWebhookState: {
    ask: async (world) => ({ ...(await ofWebhook(world)), body: { state: 'disabled' } }),
    status: 200,
    otherTenant: 'not-found',
  },
  removeWebhook: { ask: ofWebhook, status: 204, otherTenant: 'not-found' },
  testWebhook: { ask: ofWebhook, status: 200, otherTenant: 'not-found' },
  rotateWebhookSecret: { ask: ofWebhook, status: 200, otherTenant: 'not-found' },
  listDeadWebhooks: { ask: ofWebhook, status: 200, otherTenant: 'not-found' },
  replayDeadWebhooks: {
    ask: async (world) => ({ ...(await ofWebhook(world)), body: {} }),
    status: 200,
    otherTenant: 'not-found',
  },
  createTranscription: {
    ask: () => {
      const body = new FormData();
      body.set('file', new Blob([new Uint8Array(1_600)]), 'silence.pcm');
      return { body };
    },
    status: 202,
    otherTenant: 'nothing',
  },
  transcribeCall: {
    ask: async ({ api, call }) => {
      await saveEvent(api.pool, recordedEvent(call));
      return { path: { id: call.id }, body: {} };
    },
    status: 202,
    otherTenant: 'not-found',
  },
  getTranscription: {
    ask: async ({ api }) => {
      const { id } = await createTranscription(api.pool, { id: newCallId(), tenant: 'a', bytes: 1 });
      return { path: { id } };
    },
    status: 200,
    otherTenant: 'not-found',
  },
  listVoicemails: {
    ask: async (world) => {
      await ofVoicemail(world);
      return {};
    },
    status: 200,
    otherTenant: 'nothing',
  },
  getVoicemail: { ask: ofVoicemail, status: 200, otherTenant: 'not-found' },
  setVoicemailState: {
    ask: async (world) => ({ ...(await ofVoicemail(world)), body: { state: 'heard' } }),
    status: 200,
    otherTenant: 'not-found',
  },
  getVoicemailRecording: { ask: ofVoicemail, status: 200, otherTenant: 'not-found' },
  deleteCall: { ask: ofCall, status: 200, otherTenant: 'not-found' },
};
