import type { CallRecord } from '../../src/call/record.ts';
import { newCallId } from '../../src/ids.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { createTranscription } from '../../src/store/transcriptions.ts';
import type { TestApi } from '../support/api.ts';
import { answerCommands } from '../support/control.ts';
import { aCall } from '../support/facts.ts';

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
  /** The status of the answer to whoever may ask; 101 asks for a WebSocket. */
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
  createTranscription: {
    ask: () => {
      const body = new FormData();
      body.set('file', new Blob([new Uint8Array(1_600)]), 'silence.pcm');
      return { body };
    },
    status: 202,
    otherTenant: 'nothing',
  },
  getTranscription: {
    ask: async ({ api }) => {
      const { id } = await createTranscription(api.pool, { id: newCallId(), tenant: 'a', bytes: 1 });
      return { path: { id } };
    },
    status: 200,
    otherTenant: 'not-found',
  },
  deleteCall: { ask: ofCall, status: 200, otherTenant: 'not-found' },
};
