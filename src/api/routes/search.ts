import { z } from 'zod';

import { toCallId, toLegId } from '../../ids.ts';
import { type Excerpt, excerpt } from '../../search/highlight.ts';
import { parseQuery, QUERY_MAX_CHARACTERS } from '../../search/query.ts';
import { loadNeighbours, type Neighbours } from '../../store/load-neighbours.ts';
import type { Queryable } from '../../store/pool.ts';
import { searchBest } from '../../store/search-best.ts';
import type { FoundSentence, SearchOptions } from '../../store/search-filter.ts';
import { SEARCH_MAX_MS, searchSentences } from '../../store/search-sentences.ts';
import { withinCost } from '../../store/within-cost.ts';
import type { AddRoutes } from '../context.ts';
import { cursorSchema, cursorsOf } from '../cursor.ts';
import { recordRead } from '../reads.ts';
import { problemResponse, PROBLEMS, textOf, time, timeParameter } from '../schemas.ts';
import { seenTenant } from '../tenant.ts';

const ROLES = ['agent', 'customer', 'mixed', 'unknown'] as const;

const searchQuery = z.object({
  q: z
    .string()
    .max(QUERY_MAX_CHARACTERS)
    .describe(
      'Words of two characters or more, all in one sentence; "several words" together; -word not at all',
    ),
  from: timeParameter.optional().describe('Said at or after'),
  to: timeParameter.optional().describe('Said before'),
  tenant: textOf(128).optional().describe('For credentials that see more than one'),
  role: z.enum(ROLES).optional().describe('Of whoever said it'),
  agent: textOf(200).optional().describe('In calls of this agent: the name, or the user of their address'),
  number: z
    .string()
    .max(64)
    .regex(/^\+?[\d ()./-]*\d[\d ()./-]*$/)
    .optional()
    .describe('In calls with this number, with or without its prefix'),
  identifier: textOf(512).optional().describe('In calls that a CRM knows by this id'),
  call: z.uuid().optional().describe('In this call'),
  emotion: z.enum(['positive', 'negative', 'neutral']).optional(),
  category: textOf(128).optional().describe('In calls whose metadata has this `category`'),
  order: z
    .enum(['newest', 'best'])
    .default('newest')
    .describe('newest: by the begin of the call; best: the best of the newest 500 hits'),
  cursor: cursorSchema.optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

const neighbour = z
  .object({
    leg_no: z.int(),
    role: z.enum(ROLES),
    sentence_no: z.int(),
    begin_ms: z.int(),
    end_ms: z.int(),
    text: z.string(),
  })
  .meta({ id: 'Neighbour' });

const hit = z
  .object({
    call_id: z.uuid(),
    tenant: z.string(),
    leg_id: z.uuid(),
    leg_no: z.int(),
    role: z.enum(ROLES),
    sentence_no: z.int(),
    begin_ms: z.int(),
    end_ms: z.int(),
    begin_at: time,
    end_at: time,
    text: z.string(),
    emo_tag: z.string().nullable(),
    excerpt: z.object({
      text: z.string(),
      highlights: z
        .array(z.object({ begin: z.int(), end: z.int() }))
        .describe('What was found, in UTF-16 units of the excerpt'),
    }),
    before: neighbour.nullable().describe('What was said before it in the call, on whatever leg'),
    after: neighbour.nullable(),
  })
  .meta({ id: 'SearchHit' });

const EXCERPT_CHARACTERS = 120;

const place = z.object({
  legId: z.uuid().transform(toLegId),
  sentenceNo: z.int().min(1).max(2_147_483_646),
});
const newestCursors = cursorsOf('search', place);
const bestCursors = cursorsOf('search, best first', place.extend({ score: z.number(), newest: place }));

type Search = (
  db: Queryable,
  options: Omit<SearchOptions, 'after'>,
  cursor: string | undefined,
) => Promise<readonly (FoundSentence & { readonly cursor: string })[]>;

const SEARCHES: Readonly<Record<'newest' | 'best', Search>> = {
  newest: async (db, options, cursor) => {
    const after = cursor === undefined ? undefined : newestCursors.read(cursor);
    const hits = await searchSentences(db, { ...options, after });
    return hits.map((each) => ({
      ...each,
      cursor: newestCursors.write({ legId: each.legId, sentenceNo: each.sentenceNo }),
    }));
  },
  best: async (db, options, cursor) => {
    const after = cursor === undefined ? undefined : bestCursors.read(cursor);
    const hits = await searchBest(db, { ...options, after });
    return hits.map((each) => ({ ...each, cursor: bestCursors.write(each.position) }));
  },
};

/** `GET /v1/search`. */
export const addSearchRoutes: AddRoutes = (app, { pool }) => {
  app.get(
    '/search',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'search',
        tags: ['search'],
        summary: 'Sentences of past and running calls',
        querystring: searchQuery,
        response: {
          200: z.object({ hits: z.array(hit), next_cursor: z.string().nullable() }),
          ...PROBLEMS,
          422: problemResponse('It finds more than can be put in order in time: narrow it'),
        },
      },
    },
    async (request) => {
      const { q, order, cursor, limit, number, tenant, call, ...filter } = request.query;
      const query = parseQuery(q);
      const options = {
        query,
        filter: {
          ...filter,
          tenant: seenTenant(request.principal, tenant),
          number: number?.replace(/\D/g, ''),
          callId: call === undefined ? undefined : toCallId(call.toLowerCase()),
        },
        limit: limit + 1,
      };
      const search = SEARCHES[order];
      const found = await withinCost(pool, SEARCH_MAX_MS, async (db) => {
        const hits = await search(db, options, cursor);
        const page = hits.slice(0, limit);
        const next = hits.length > limit ? page.at(-1)?.cursor : undefined;
        return { page, next, neighbours: await loadNeighbours(db, page) };
      });
      await recordRead(
        pool,
        request,
        'search',
        found.page.map(({ callId }) => callId),
      );
      const beside = new Map(found.neighbours.map((each) => [`${each.legId} ${each.sentenceNo}`, each]));
      const hits = found.page.map((each) =>
        toJson(
          each,
          excerpt(each.text, query.wanted, EXCERPT_CHARACTERS),
          beside.get(`${each.legId} ${each.sentenceNo}`),
        ),
      );
      return { hits, next_cursor: found.next ?? null };
    },
  );
};

function toJson(
  found: FoundSentence,
  { text, highlights }: Excerpt,
  neighbours: Neighbours | undefined,
): z.infer<typeof hit> {
  return {
    call_id: found.callId,
    tenant: found.tenant,
    leg_id: found.legId,
    leg_no: found.legNo,
    role: found.role,
    sentence_no: found.sentenceNo,
    begin_ms: found.beginMs,
    end_ms: found.endMs,
    begin_at: found.beginAt.toISOString(),
    end_at: found.endAt.toISOString(),
    text: found.text,
    emo_tag: found.emoTag,
    excerpt: { text, highlights: [...highlights] },
    before: neighbours?.before ?? null,
    after: neighbours?.after ?? null,
  };
}
