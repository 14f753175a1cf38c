import { z } from 'zod';

import { loadEvents } from '../../store/load-events.ts';
import { loadFigures, type StoredFigures } from '../../store/load-figures.ts';
import { loadLegs } from '../../store/load-legs.ts';
import type { StoredCall, StoredEvent, StoredLeg } from '../../store/stored.ts';
import type { AddRoutes } from '../context.ts';
import {
  CALL_STATES,
  callParams,
  isoOrNull,
  LEG_ROLES,
  NOT_FOUND,
  NOT_MODIFIED,
  PROBLEMS,
  snakeCased,
  time,
  timeOrNull,
} from '../schemas.ts';
import { findCall } from '../tenant.ts';

const json = z.record(z.string(), z.unknown());

const leg = z
  .object({
    id: z.uuid(),
    leg_no: z.int(),
    label: z.string().nullable(),
    role: z.enum(LEG_ROLES),
    name: z.string().nullable(),
    uri: z.string().nullable(),
    role_evidence: json.describe('Why the role is what it is, and whose leg it was before'),
    codec: z.string().nullable(),
    model: z.string().nullable(),
    vocabulary_id: z.string().nullable(),
    started_at: timeOrNull,
    ended_at: timeOrNull,
    media: json.nullable(),
    sentence_count: z.int().nullable(),
  })
  .meta({ id: 'Leg' });

const event = z
  .object({ event_no: z.int(), leg_no: z.int().nullable(), at: time, kind: z.string(), detail: json })
  .meta({ id: 'CallEvent' });

const side = {
  interruptions: z.number(),
  longest_monologue_ms: z.number(),
  sentences: z.number(),
  words: z.number(),
  characters: z.number(),
  heard_ms: z.number(),
  recognised_ms: z.number(),
  concealed_ms: z.number(),
};

const figures = z
  .object({
    span_ms: z.number(),
    agent_talk_ms: z.number(),
    customer_talk_ms: z.number(),
    other_talk_ms: z.number(),
    silence_ms: z.number(),
    longest_silence_ms: z.number(),
    overlap_ms: z.number(),
    ...side,
    legs: z.array(
      z.object({
        leg_no: z.int(),
        role: z.enum(LEG_ROLES),
        talk_ms: z.number(),
        ...side,
        emotion: z.object({
          positive: z.number(),
          neutral: z.number(),
          negative: z.number(),
          thirds: z.array(z.number().nullable()),
          trend: z.number().nullable(),
        }),
      }),
    ),
    computed_at: time,
  })
  .meta({ id: 'CallFigures' });

const call = z
  .object({
    id: z.uuid(),
    revision: z.int(),
    state: z.enum(CALL_STATES),
    sip_call_id: z.string().nullable(),
    tenant: z.string().nullable(),
    direction: z.string().nullable(),
    mapping: z.string().nullable(),
    started_at: timeOrNull,
    answered_at: timeOrNull,
    ended_at: timeOrNull,
    end_reason: z.string().nullable(),
    metadata: json,
    identifiers: z.array(z.object({ kind: z.string(), value: z.string() })),
    legs: z.array(leg),
    events: z.array(event),
    figures: figures.nullable().describe('Null until the call is complete'),
  })
  .meta({ id: 'Call' });

/** `GET /v1/calls/{id}`. */
export const addCallDetailRoutes: AddRoutes = (app, { pool }) => {
  app.get(
    '/calls/:id',
    {
      config: { scope: 'read', hasEtag: true },
      schema: {
        operationId: 'getCall',
        tags: ['calls'],
        summary: 'One call with its legs, events and figures',
        params: callParams,
        response: { 200: call, ...NOT_MODIFIED, ...PROBLEMS, ...NOT_FOUND },
      },
    },
    async ({ params, principal }) => {
      const found = await findCall(pool, principal, params.id);
      const legs = await loadLegs(pool, found.id);
      const events = await loadEvents(pool, found.id);
      return toJson(found, legs, events, await loadFigures(pool, found.id));
    },
  );
};

function toJson(
  found: StoredCall,
  legs: readonly StoredLeg[],
  events: readonly StoredEvent[],
  computed: StoredFigures | undefined,
): z.infer<typeof call> {
  const legNos = new Map(legs.map(({ id, legNo }) => [id, legNo]));
  return {
    id: found.id,
    revision: found.revision,
    state: found.state,
    sip_call_id: found.sipCallId,
    tenant: found.tenant,
    direction: found.direction,
    mapping: found.mapping,
    started_at: isoOrNull(found.startedAt),
    answered_at: isoOrNull(found.answeredAt),
    ended_at: isoOrNull(found.endedAt),
    end_reason: found.endReason,
    metadata: found.metadata,
    identifiers: found.identifiers.map(({ kind, value }) => ({ kind, value })),
    legs: legs.map(legToJson),
    events: events.map(({ eventNo, legId, at, kind, detail }) => ({
      event_no: eventNo,
      leg_no: legId === null ? null : (legNos.get(legId) ?? null),
      at: at.toISOString(),
      kind,
      detail,
    })),
    figures: computed === undefined ? null : figures.parse(snakeCased(computed)),
  };
}

function legToJson(stored: StoredLeg): z.infer<typeof leg> {
  return {
    id: stored.id,
    leg_no: stored.legNo,
    label: stored.label,
    role: stored.role,
    name: stored.name,
    uri: stored.uri,
    role_evidence: stored.roleEvidence,
    codec: stored.codec,
    model: stored.model,
    vocabulary_id: stored.vocabularyId,
    started_at: isoOrNull(stored.startedAt),
    ended_at: isoOrNull(stored.endedAt),
    media: stored.media,
    sentence_count: stored.sentenceCount,
  };
}
