import { join } from 'node:path';

import fastifyMultipart from '@fastify/multipart';
import { z } from 'zod';

import { CallscribeError } from '../../errors.ts';
import { findRecording } from '../../recording/find-recording.ts';
import { loadRecording } from '../../store/load-recording.ts';
import {
  loadTranscription,
  type StoredTranscription,
  TRANSCRIPTION_STATES,
} from '../../store/transcriptions.ts';
import { recordedChannels, routedTerms } from '../../transcribe/recorded-call.ts';
import type { AddRoutes } from '../context.ts';
import {
  BODY_PROBLEMS,
  callParams,
  isoOrNull,
  NOT_FOUND,
  problemResponse,
  PROBLEMS,
  time,
  timeOrNull,
} from '../schemas.ts';
import { findCall } from '../tenant.ts';

const DEFAULT_TENANT = 'default';

const transcription = z
  .object({
    id: z.uuid(),
    state: z.enum(TRANSCRIPTION_STATES),
    bytes: z.number(),
    progress: z.number().min(0).max(1),
    sentences: z.int(),
    call_id: z.uuid().nullable().describe('Once it is complete: where what was said is found'),
    fault: z.object({ code: z.string(), text: z.string() }).nullable(),
    created_at: time,
    ended_at: timeOrNull,
  })
  .meta({ id: 'Transcription' });

/** Binary parts have no type (OpenAPI 3.1, "Considerations for File Uploads"). */
const FILE_FORM = {
  type: 'object',
  required: ['file'],
  properties: {
    file: {
      contentMediaType: 'application/octet-stream',
      description: 'The file; its name tells the format',
    },
  },
};

/** `POST /v1/transcriptions` and `GET /v1/transcriptions/{id}`: files in place of calls. */
export const addTranscriptionRoutes: AddRoutes = async (app, { pool, uploads, settings }) => {
  await app.register(fastifyMultipart, {
    limits: { files: 1, fields: 0, parts: 1, fileSize: uploads.fileMaxBytes },
    throwFileSizeLimit: false,
  });

  app.post(
    '/transcriptions',
    {
      config: { scope: 'write', form: FILE_FORM },
      schema: {
        operationId: 'createTranscription',
        tags: ['transcriptions'],
        summary:
          'Hands in an audio file, as the part `file` of a form: WAV, what the model takes, and what ffmpeg reads where it is installed; one leg a channel',
        consumes: ['multipart/form-data'],
        response: {
          202: transcription,
          ...PROBLEMS,
          413: problemResponse('The file is too large'),
          415: problemResponse('The body is no form'),
          422: problemResponse('The file cannot be recognised; detail says why'),
        },
      },
    },
    async (request, reply) => {
      if (!request.isMultipart()) {
        throw new CallscribeError(
          'MEDIA_TYPE_UNSUPPORTED',
          'expected multipart/form-data with the part file',
        );
      }
      const part = await request.file();
      if (part === undefined) {
        throw new CallscribeError('REQUEST_INVALID', 'the form has no file, expected the part file');
      }
      const { tenant = DEFAULT_TENANT } = request.principal;
      const taken = await uploads.take(tenant, part.filename, part.file);
      return reply.code(202).header('location', `/v1/transcriptions/${taken.id}`).send(toJson(taken));
    },
  );

  app.post(
    '/calls/:id/transcriptions',
    {
      config: { scope: 'write' },
      schema: {
        operationId: 'transcribeCall',
        tags: ['transcriptions'],
        summary: "Recognises a call's recording again: it becomes another call, and the first stays as it is",
        params: callParams,
        body: z
          .strictObject({
            model: z.string().min(1).max(128).optional().describe('Default: that of telephone audio'),
            vocabulary_id: z.string().min(1).max(128).optional().describe('Default: ASR_VOCABULARY_ID'),
          })
          .default({}),
        response: {
          202: transcription,
          ...PROBLEMS,
          ...NOT_FOUND,
          ...BODY_PROBLEMS,
          409: problemResponse('The call goes on'),
          422: problemResponse('The recording cannot be recognised; detail says why'),
          500: problemResponse('The recording is damaged, or cannot be read'),
        },
      },
    },
    async ({ params, principal, body }, reply) => {
      const call = await findCall(pool, principal, params.id);
      const recording = await loadRecording(pool, call);
      const file = await findRecording(settings.recordingDir, call.id, recording.startedAt);
      const taken = await uploads.takeRecording(
        call.tenant ?? DEFAULT_TENANT,
        join(settings.recordingDir, file),
        {
          callId: call.id,
          beginAt: recording.beginAt,
          endedAt: recording.endedAt,
          channels: recordedChannels(recording.legs),
          model: body.model,
          vocabularyId: body.vocabulary_id,
          ...routedTerms(call.metadata),
        },
      );
      return reply.code(202).header('location', `/v1/transcriptions/${taken.id}`).send(toJson(taken));
    },
  );

  app.get(
    '/transcriptions/:id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getTranscription',
        tags: ['transcriptions'],
        summary: 'How far a file is, and the call that it became',
        params: z.object({ id: z.uuid() }),
        response: { 200: transcription, ...PROBLEMS, ...NOT_FOUND },
      },
    },
    async ({ params, principal }) => {
      const found = await loadTranscription(pool, params.id, principal.tenant);
      if (found === undefined) throw new CallscribeError('NOT_FOUND', 'there is no such transcription');
      return toJson(found);
    },
  );
};

const toJson = (row: StoredTranscription): z.infer<typeof transcription> => ({
  id: row.id,
  state: row.state,
  bytes: row.bytes,
  progress: row.progress,
  sentences: row.sentences,
  call_id: row.callId,
  fault: row.faultCode === null ? null : { code: row.faultCode, text: row.fault ?? '' },
  created_at: row.createdAt.toISOString(),
  ended_at: isoOrNull(row.endedAt),
});
