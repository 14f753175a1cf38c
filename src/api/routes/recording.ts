import { resolve } from 'node:path';

import fastifyStatic from '@fastify/static';

import { CallscribeError } from '../../errors.ts';
import { findRecording } from '../../recording/find-recording.ts';
import type { AddRoutes } from '../context.ts';
import { recordRead } from '../reads.ts';
import { callParams, NOT_FOUND, PROBLEMS, WAVE_FILE } from '../schemas.ts';
import { findCall } from '../tenant.ts';

/** `GET /v1/calls/{id}/recording`: a WAV file, whole or in ranges. */
export const addRecordingRoutes: AddRoutes = async (app, { pool, settings }) => {
  await app.register(fastifyStatic, { serve: false });
  app.get(
    '/calls/:id/recording',
    {
      config: { scope: 'audio' },
      schema: {
        operationId: 'getRecording',
        tags: ['calls'],
        summary:
          'Stereo WAV, 8,000 Hz, 16 bits: agent left, customer right. Ranges of bytes are answered with 206',
        params: callParams,
        response: {
          ...PROBLEMS,
          ...NOT_FOUND,
          ...WAVE_FILE,
        },
      },
    },
    async (request, reply) => {
      const { id, state, startedAt } = await findCall(pool, request.principal, request.params.id);
      if (startedAt === null || state === 'active') {
        throw new CallscribeError(
          'RECORDING_ABSENT',
          'the call goes on: its recording is written when it has ended',
        );
      }
      const file = await findRecording(settings.recordingDir, id, startedAt);
      await recordRead(pool, request, 'recording', [id]);
      return reply
        .header('content-disposition', `attachment; filename="${id}.wav"`)
        .sendFile(file, resolve(settings.recordingDir), { cacheControl: false });
    },
  );
};
