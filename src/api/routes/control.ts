import { z } from 'zod';

import type { PauseResult } from '../../control/commands.ts';
import { CallscribeError } from '../../errors.ts';
import { forgetCall } from '../../forget/forget-call.ts';
import { refreshFigures } from '../../store/complete-call.ts';
import { relabelLeg } from '../../store/relabel-leg.ts';
import type { StoredCall } from '../../store/stored.ts';
import { loadVoicemail } from '../../store/voicemails.ts';
import type { AddRoutes } from '../context.ts';
import { BODY_PROBLEMS, callParams, NOT_FOUND, problemResponse, PROBLEMS, timeOrNull } from '../schemas.ts';
import { findCall } from '../tenant.ts';

/** How long a deletion waits for what is on its way. */
const FORGET_WAIT_MS = 5_000;

const CONTROL_PROBLEMS = {
  ...PROBLEMS,
  ...NOT_FOUND,
  409: problemResponse('The call is not in a state in which it can be done'),
  502: problemResponse('The intake of the call could not do it'),
  504: problemResponse('The intake of the call did not answer in time; it may have done it. Ask again'),
};

const pauseState = z
  .object({
    call_id: z.uuid(),
    state: z.enum(['paused', 'running']),
    since: timeOrNull.describe('Null where the call was never paused'),
    changed: z.boolean().describe('Whether this request made it so'),
  })
  .meta({ id: 'PauseState' });

const relabelled = z.object({
  call_id: z.uuid(),
  leg_no: z.int(),
  role: z.enum(['agent', 'customer']),
  changed: z.boolean(),
});

const deleted = z.object({
  call_id: z.uuid(),
  rows: z.int().describe('How many were deleted'),
  files: z.int(),
  left: z
    .object({ rows: z.int(), files: z.int(), outbox: z.int(), queue: z.int() })
    .describe('What is on its way still, on this machine; writers drop it when they take it'),
});

/** What is done to calls: pause and resume, relabel, recognise again, delete. */
export const addControlRoutes: AddRoutes = (app, { pool, control, callPlaces, onMailbox, clock }) => {
  for (const kind of ['pause', 'resume'] as const) {
    app.post(
      `/calls/:id/${kind}`,
      {
        config: { scope: 'write' },
        schema: {
          operationId: `${kind}Call`,
          tags: ['control'],
          summary: SUMMARY[kind],
          params: callParams,
          response: { 200: pauseState, ...CONTROL_PROBLEMS },
        },
      },
      async ({ params, principal }) => {
        const call = await findCall(pool, principal, params.id);
        requireRunning(call);
        const result = await control.ask(call.id, { kind, by: principal.name });
        if (result === undefined) throw notRunning(call);
        return toJson(call, result);
      },
    );
  }

  app.patch(
    '/calls/:id/legs/:leg_no',
    {
      config: { scope: 'write' },
      schema: {
        operationId: 'relabelLeg',
        tags: ['control'],
        summary: 'Says who speaks on a leg, for good; the figures follow, the sides of a recording do not',
        params: callParams.extend({ leg_no: z.coerce.number().int().min(0).max(1_000_000) }),
        body: z.strictObject({ role: z.enum(['agent', 'customer']) }),
        response: {
          200: relabelled,
          ...CONTROL_PROBLEMS,
          ...BODY_PROBLEMS,
        },
      },
    },
    async ({ params: { id, leg_no: legNo }, body: { role }, principal }) => {
      const call = await findCall(pool, principal, id);
      const by = principal.name;
      const answer = (changed: boolean): z.infer<typeof relabelled> => ({
        call_id: id,
        leg_no: legNo,
        role,
        changed,
      });
      if (call.state === 'active') {
        const result = await control.ask(id, { kind: 'relabel', by, legNo, role });
        if (result?.found === true) return answer(result.changed);
        // It has ended meanwhile, or there is no such leg: the rows tell.
      }
      const outcome = await relabelLeg(pool, id, { legNo, role, by, at: clock.wallTime() });
      if (outcome === 'unknown') throw new CallscribeError('NOT_FOUND', 'the call has no such leg');
      await refreshFigures(pool, id);
      return answer(outcome === 'changed');
    },
  );

  app.post(
    '/calls/:id/recognise',
    {
      config: { scope: 'write' },
      schema: {
        operationId: 'recogniseCall',
        tags: ['control'],
        summary:
          'Recognises what the recogniser did not take during the call; sentences come as they are found',
        params: callParams,
        response: {
          202: z.object({ call_id: z.uuid(), legs: z.int().describe('Legs that are recognised now') }),
          ...CONTROL_PROBLEMS,
        },
      },
    },
    async ({ params, principal }, reply) => {
      const call = await findCall(pool, principal, params.id);
      requireEnded(call);
      const result = await control.ask(call.id, { kind: 'recognise' });
      if (result === undefined) {
        throw new CallscribeError(
          'AUDIO_NOT_KEPT',
          'no intake keeps audio of this call that is not recognised: everything is, or it is kept no more',
        );
      }
      return reply.code(202).send({ call_id: call.id, legs: result.legs });
    },
  );

  app.delete(
    '/calls/:id',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'deleteCall',
        tags: ['control'],
        summary: 'Deletes an ended call: rows, recording, and whatever of it is on its way',
        params: callParams,
        response: { 200: deleted, ...CONTROL_PROBLEMS },
      },
    },
    async ({ params, principal }) => {
      const call = await findCall(pool, principal, params.id);
      requireEnded(call);
      const voicemail = await loadVoicemail(pool, call.tenant ?? undefined, call.id);
      const { rows, files, left } = await forgetCall(callPlaces, call.id, FORGET_WAIT_MS);
      if (voicemail !== undefined) onMailbox(voicemail);
      return { call_id: call.id, rows, files, left };
    },
  );
};

const SUMMARY = {
  pause: 'From the answer on, nothing that is said or pressed is kept or sent anywhere (PCI DSS); idempotent',
  resume: 'Ends a pause; idempotent',
} as const;

const toJson = (call: StoredCall, { state, since, changed }: PauseResult): z.infer<typeof pauseState> => ({
  call_id: call.id,
  state,
  since,
  changed,
});

/** @throws {CallscribeError} CALL_NOT_RUNNING */
function requireRunning(call: StoredCall): void {
  if (call.state !== 'active') throw notRunning(call);
}

/** @throws {CallscribeError} CALL_RUNNING */
function requireEnded({ state }: StoredCall): void {
  if (state !== 'active') return;
  throw new CallscribeError('CALL_RUNNING', 'the call goes on; this can be done when it has ended');
}

function notRunning({ state }: StoredCall): CallscribeError {
  const found = state === 'active' ? 'no intake has it any more' : `it is ${state}`;
  return new CallscribeError('CALL_NOT_RUNNING', `only a running call can be paused or resumed; ${found}`);
}
