import { z } from 'zod';

import { loadEvents } from '../../store/load-events.ts';
import { loadLegs } from '../../store/load-legs.ts';
import { loadTranscript } from '../../store/load-transcript.ts';
import type { StoredCall, StoredLeg, StoredSentence } from '../../store/stored.ts';
import { writeTranscript } from '../../transcribe/formats.ts';
import type { AddRoutes } from '../context.ts';
import { type CallPause, pausesOf } from '../pauses.ts';
import { recordRead } from '../reads.ts';
import {
  CALL_STATES,
  callParams,
  isoOrNull,
  LEG_ROLES,
  NOT_FOUND,
  NOT_MODIFIED,
  PROBLEMS,
  time,
  timeOrNull,
} from '../schemas.ts';
import { findCall } from '../tenant.ts';
import { speakerOf, transcriptOf } from './spoken.ts';

const CONTENT_TYPES = {
  txt: 'text/plain; charset=utf-8',
  srt: 'application/x-subrip; charset=utf-8',
  vtt: 'text/vtt; charset=utf-8',
} as const;

const word = z.object({
  text: z.string(),
  begin_ms: z.number(),
  end_ms: z.number(),
  punctuation: z.string(),
});

const sentence = z
  .object({
    leg_no: z.int(),
    sentence_no: z.int().describe('1, 2, 3 … within the leg'),
    speaker: z.string(),
    role: z.enum(LEG_ROLES),
    begin_ms: z.number().describe("Milliseconds since the leg's first sample"),
    end_ms: z.number(),
    begin_at: time,
    end_at: time,
    text: z.string(),
    words: z.array(word).optional(),
    emo_tag: z.string().nullable(),
    emo_confidence: z.number().nullable(),
    concealed_ms: z.number().describe('Of its audio, how much was lost on the way'),
  })
  .meta({ id: 'Sentence' });

const pause = z
  .object({
    begin_at: time,
    end_at: timeOrNull.describe('Null while it lasts'),
    legs: z.array(
      z.object({
        leg_no: z.int(),
        begin_ms: z.number().describe("Milliseconds since the leg's first sample"),
        end_ms: z.number().nullable(),
      }),
    ),
  })
  .meta({ id: 'Pause' });

const transcript = z
  .object({
    call_id: z.uuid(),
    state: z.enum(CALL_STATES).describe('Only of a complete call is the transcript whole'),
    started_at: timeOrNull,
    sentences: z.array(sentence).describe('Of all legs, in the order in which they were begun'),
    pauses: z.array(pause).describe('Stretches of which nothing was kept (PCI), in order'),
  })
  .meta({ id: 'Transcript' });

const query = z.object({
  format: z.enum(['json', 'txt', 'srt', 'vtt']).default('json'),
  words: z
    .enum(['true', 'false'])
    .default('true')
    .describe('Of json: whether the times of each word are told'),
});

/** `GET /v1/calls/{id}/transcript`. */
export const addTranscriptRoutes: AddRoutes = (app, { pool }) => {
  app.get(
    '/calls/:id/transcript',
    {
      config: { scope: 'read', hasEtag: true },
      schema: {
        operationId: 'getTranscript',
        tags: ['calls'],
        summary: 'What was said so far; cues of srt and vtt are on the clock of the recording',
        params: callParams,
        querystring: query,
        response: {
          200: {
            description: 'The transcript, in the format that was asked for',
            content: {
              'application/json': { schema: transcript },
              'text/plain': { schema: z.string() },
              'application/x-subrip': { schema: z.string() },
              'text/vtt': { schema: z.string() },
            },
          },
          ...NOT_MODIFIED,
          ...PROBLEMS,
          ...NOT_FOUND,
        },
      },
    },
    async (request, reply) => {
      const { format, words } = request.query;
      const call = await findCall(pool, request.principal, request.params.id);
      const legs = await loadLegs(pool, call.id);
      const sentences = await loadTranscript(pool, call.id);
      const pauses = pausesOf(call, legs, await loadEvents(pool, call.id));
      await recordRead(pool, request, 'transcript', [call.id]);
      if (format === 'json') return toJson(call, { legs, sentences, pauses }, words === 'true');
      return reply
        .type(CONTENT_TYPES[format])
        .send(writeTranscript(transcriptOf(call, legs, sentences, pauses), format));
    },
  );
};

interface CallContent {
  readonly legs: readonly StoredLeg[];
  readonly sentences: readonly StoredSentence[];
  readonly pauses: readonly CallPause[];
}

function toJson(
  { id, state, startedAt }: StoredCall,
  { legs, sentences, pauses }: CallContent,
  hasWords: boolean,
): z.infer<typeof transcript> {
  const speakers = new Map(legs.map((leg) => [leg.legNo, speakerOf(leg)]));
  return {
    call_id: id,
    state,
    started_at: isoOrNull(startedAt),
    sentences: sentences.map((said) => ({
      leg_no: said.legNo,
      sentence_no: said.sentenceNo,
      speaker: speakers.get(said.legNo) ?? `Speaker ${said.legNo + 1}`,
      role: said.role,
      begin_ms: said.beginMs,
      end_ms: said.endMs,
      begin_at: said.beginAt.toISOString(),
      end_at: said.endAt.toISOString(),
      text: said.text,
      ...(hasWords ? { words: [...said.words] } : {}),
      emo_tag: said.emoTag,
      emo_confidence: said.emoConfidence,
      concealed_ms: said.concealedMs,
    })),
    pauses: pauses.map((each) => ({
      begin_at: each.beginAt.toISOString(),
      end_at: isoOrNull(each.endAt ?? null),
      legs: each.legs.map(({ legNo, beginMs, endMs = null }) => ({
        leg_no: legNo,
        begin_ms: beginMs,
        end_ms: endMs,
      })),
    })),
  };
}
