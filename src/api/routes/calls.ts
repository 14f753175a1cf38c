import { z } from 'zod';

import { listCalls, type ListedCall } from '../../store/list-calls.ts';
import { withinCost } from '../../store/within-cost.ts';
import type { AddRoutes } from '../context.ts';
import { cursorSchema, cursorsOf } from '../cursor.ts';
import {
  CALL_STATES,
  isoOrNull,
  LEG_ROLES,
  pageLimit,
  problemResponse,
  PROBLEMS,
  textOf,
  timeOrNull,
  timeParameter,
} from '../schemas.ts';
import { seenTenant } from '../tenant.ts';

const listedCall = z
  .object({
    id: z.uuid(),
    state: z.enum(CALL_STATES),
    fault: z.string().nullable(),
    tenant: z.string().nullable(),
    direction: z.string().nullable(),
    started_at: timeOrNull,
    answered_at: timeOrNull,
    ended_at: timeOrNull,
    end_reason: z.string().nullable(),
    legs: z.array(
      z.object({
        leg_no: z.int(),
        role: z.enum(LEG_ROLES),
        name: z.string().nullable(),
        uri: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'ListedCall' });

const listQuery = z.object({
  state: z.enum(CALL_STATES).optional(),
  from: timeParameter.optional().describe('Began at or after'),
  to: timeParameter.optional().describe('Began before'),
  agent: textOf(200).optional().describe('Name of the agent, or the user of their address'),
  number: z
    .string()
    .max(64)
    .regex(/^\+?[\d ()./-]*\d[\d ()./-]*$/)
    .optional()
    .describe('A number of either party, with or without its prefix'),
  identifier: textOf(512).optional().describe('Any id by which a CRM knows the call'),
  tenant: textOf(128).optional().describe('For credentials that see more than one'),
  cursor: cursorSchema.optional(),
  limit: pageLimit,
});

/** A filter that no index serves may look at every call; it is ended by then. */
const LIST_MAX_MS = 2_000;

const cursors = cursorsOf('calls', z.object({ startedAt: z.iso.datetime({ precision: 6 }), id: z.uuid() }));

/** `GET /v1/calls`. */
export const addCallRoutes: AddRoutes = (app, { pool }) => {
  app.get(
    '/calls',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listCalls',
        tags: ['calls'],
        summary: 'Calls, newest first',
        querystring: listQuery,
        response: {
          200: z.object({ calls: z.array(listedCall), next_cursor: z.string().nullable() }),
          ...PROBLEMS,
          422: problemResponse('The filters find too much or too little to be looked for in time'),
        },
      },
    },
    async ({ query, principal }) => {
      const { cursor, limit, number, tenant, ...filter } = query;
      const options = {
        filter: {
          ...filter,
          tenant: seenTenant(principal, tenant),
          numberDigits: number?.replace(/\D/g, ''),
        },
        after: cursor === undefined ? undefined : cursors.read(cursor),
        limit: limit + 1,
      };
      const calls = await withinCost(pool, LIST_MAX_MS, (db) => listCalls(db, options));
      const page = calls.slice(0, limit);
      const last = calls.length > limit ? page.at(-1) : undefined;
      return {
        calls: page.map(toJson),
        next_cursor: last === undefined ? null : cursors.write(last.position),
      };
    },
  );
};

function toJson(call: ListedCall): z.infer<typeof listedCall> {
  const { id, state, fault, tenant, direction, legs } = call;
  return {
    id,
    state,
    fault,
    tenant,
    direction,
    started_at: isoOrNull(call.startedAt),
    answered_at: isoOrNull(call.answeredAt),
    ended_at: isoOrNull(call.endedAt),
    end_reason: call.endReason,
    legs: [...legs],
  };
}
