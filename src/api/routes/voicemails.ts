import { z } from 'zod';

import { CallscribeError } from '../../errors.ts';
import { openExcerpt } from '../../recording/excerpt.ts';
import { loadVoicemailSound } from '../../store/load-voicemail-sound.ts';
import {
  listVoicemails,
  loadVoicemail,
  setVoicemailState,
  type StoredVoicemail,
  VOICEMAIL_STATES,
} from '../../store/voicemails.ts';
import { readByteRange } from '../byte-range.ts';
import type { AddRoutes } from '../context.ts';
import { cursorSchema, cursorsOf } from '../cursor.ts';
import { isKnownEtag } from '../etag.ts';
import { recordRead } from '../reads.ts';
import {
  BODY_PROBLEMS,
  callParams,
  NOT_FOUND,
  pageLimit,
  PROBLEMS,
  textOf,
  time,
  timeParameter,
  WAVE_FILE,
} from '../schemas.ts';
import { seenTenant } from '../tenant.ts';

const voicemailSchema = z
  .object({
    id: z.uuid().describe('That of its call'),
    tenant: z.string(),
    mailbox: z.string(),
    caller: z.string().nullable().describe('The user of the caller’s address'),
    caller_name: z.string().nullable(),
    began_at: time.describe('When the beep was over'),
    ended_at: time,
    duration_ms: z.int(),
    end_reason: z.enum(['hangup', 'key', 'silence', 'limit', 'lost']),
    content: z.enum(['message', 'short', 'empty']),
    text: z.string(),
    recorded: z.boolean().describe('Whether there is sound to it'),
    state: z.enum(VOICEMAIL_STATES),
    state_at: time,
  })
  .meta({ id: 'Voicemail' });

/** Without what was said: who may change it need not be one who may read it. */
const voicemailState = voicemailSchema
  .pick({ id: true, mailbox: true, state: true, state_at: true })
  .extend({ changed: z.boolean().describe('Whether this request made it so') })
  .meta({ id: 'VoicemailState' });

const listQuery = z.object({
  mailbox: textOf(200).optional(),
  state: z.enum(VOICEMAIL_STATES).optional().describe('Default: new and heard'),
  from: timeParameter.optional().describe('Began at or after'),
  to: timeParameter.optional().describe('Began before'),
  tenant: textOf(128).optional().describe('For credentials that see more than one'),
  cursor: cursorSchema.optional(),
  limit: pageLimit,
});

const cursors = cursorsOf('voicemails', z.uuid());
const tags = ['voicemail'];

/** `/v1/voicemails`: messages that callers left. */
export const addVoicemailRoutes: AddRoutes = (app, { pool, settings, onMailbox }) => {
  app.get(
    '/voicemails',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listVoicemails',
        tags,
        summary: 'Messages, newest first',
        querystring: listQuery,
        response: {
          200: z.object({ voicemails: z.array(voicemailSchema), next_cursor: z.string().nullable() }),
          ...PROBLEMS,
        },
      },
    },
    async (request) => {
      const { cursor, limit, mailbox, state, from, to, tenant } = request.query;
      const found = await listVoicemails(
        pool,
        { tenant: seenTenant(request.principal, tenant), mailbox, state, from, to },
        { after: cursor === undefined ? undefined : cursors.read(cursor), limit: limit + 1 },
      );
      const page = found.slice(0, limit);
      await recordRead(
        pool,
        request,
        'transcript',
        page.map(({ callId }) => callId),
      );
      const last = found.length > limit ? page.at(-1) : undefined;
      return {
        voicemails: page.map(toJson),
        next_cursor: last === undefined ? null : cursors.write(last.callId),
      };
    },
  );

  app.get(
    '/voicemails/:id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getVoicemail',
        tags,
        summary: 'One message',
        params: callParams,
        response: { 200: voicemailSchema, ...PROBLEMS, ...NOT_FOUND },
      },
    },
    async (request) => {
      const { id } = request.params;
      const voicemail = found(await loadVoicemail(pool, request.principal.tenant, id));
      await recordRead(pool, request, 'transcript', [id]);
      return toJson(voicemail);
    },
  );

  app.patch(
    '/voicemails/:id',
    {
      config: { scope: 'write' },
      schema: {
        operationId: 'setVoicemailState',
        tags,
        summary: 'New, heard or deleted. A deleted one can be had back until the rows of its call go',
        params: callParams,
        body: z.strictObject({ state: z.enum(VOICEMAIL_STATES) }),
        response: { 200: voicemailState, ...PROBLEMS, ...BODY_PROBLEMS, ...NOT_FOUND },
      },
    },
    async (request) => {
      const { id } = request.params;
      const { tenant } = request.principal;
      const changed = await setVoicemailState(pool, tenant, id, request.body.state);
      const voicemail = found(await loadVoicemail(pool, tenant, id));
      if (changed) onMailbox(voicemail);
      const { mailbox, state, stateAt } = voicemail;
      return { id, mailbox, state, state_at: stateAt.toISOString(), changed };
    },
  );

  app.get(
    '/voicemails/:id/recording',
    {
      config: { scope: 'audio' },
      schema: {
        operationId: 'getVoicemailRecording',
        tags,
        summary:
          'Mono WAV of just the message, 8,000 Hz, 16 bits. A range of bytes is answered with 206. It stays new',
        params: callParams,
        response: {
          ...PROBLEMS,
          ...NOT_FOUND,
          ...WAVE_FILE,
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      found(await loadVoicemail(pool, request.principal.tenant, id));
      const sound = await loadVoicemailSound(pool, id);
      if (sound === undefined) {
        throw new CallscribeError('RECORDING_ABSENT', 'the recording of this message could not be made');
      }
      const excerpt = await openExcerpt(settings.recordingDir, sound);
      await recordRead(pool, request, 'recording', [id]);
      const { headers } = request;
      const etag = `"${sound.crc32.toString(16)}-${sound.fromMs}-${sound.toMs}"`;
      void reply.headers({ etag, 'accept-ranges': 'bytes' });
      if (isKnownEtag(etag, headers['if-none-match'])) return reply.code(304).send(null);
      const isAnother = headers['if-range'] !== undefined && headers['if-range'] !== etag;
      const range = isAnother ? 'whole' : readByteRange(headers.range, excerpt.bytes);
      if (range === 'unsatisfiable') {
        void reply.header('content-range', `bytes */${excerpt.bytes}`);
        throw new CallscribeError('RANGE_NOT_SATISFIABLE', `the file has ${excerpt.bytes} bytes`);
      }
      const { from, end } = range === 'whole' ? { from: 0, end: excerpt.bytes } : range;
      if (range !== 'whole') {
        void reply.code(206).header('content-range', `bytes ${from}-${end - 1}/${excerpt.bytes}`);
      }
      return reply
        .type('audio/wav')
        .header('content-length', end - from)
        .header('content-disposition', `attachment; filename="voicemail-${id}.wav"`)
        .send(excerpt.read(from, end));
    },
  );
};

/** @throws {CallscribeError} NOT_FOUND, also where another tenant has it */
function found<T>(thing: T | undefined): T {
  if (thing === undefined) throw new CallscribeError('NOT_FOUND', 'there is no such message');
  return thing;
}

const toJson = (voicemail: StoredVoicemail): z.infer<typeof voicemailSchema> => ({
  id: voicemail.callId,
  tenant: voicemail.tenant,
  mailbox: voicemail.mailbox,
  caller: voicemail.caller,
  caller_name: voicemail.callerName,
  began_at: voicemail.beganAt.toISOString(),
  ended_at: voicemail.endedAt.toISOString(),
  duration_ms: voicemail.endMs - voicemail.beginMs,
  end_reason: voicemail.endReason,
  content: voicemail.content,
  text: voicemail.text,
  recorded: voicemail.recorded,
  state: voicemail.state,
  state_at: voicemail.stateAt.toISOString(),
});
