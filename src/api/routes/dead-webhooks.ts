import { z } from 'zod';

import { loadDeadMessages, replayDeadMessages } from '../../store/webhook-dead.ts';
import { loadEndpoint } from '../../store/webhook-endpoints.ts';
import type { AddRoutes } from '../context.ts';
import { cursorSchema, cursorsOf } from '../cursor.ts';
import { BODY_PROBLEMS, NOT_FOUND, pageLimit, PROBLEMS, time } from '../schemas.ts';
import { seenTenant } from '../tenant.ts';
import { found, webhookParams } from './webhooks.ts';

const deadMessage = z
  .object({
    id: z.string(),
    message_id: z.string().describe('The header webhook-id'),
    type: z.string(),
    call_id: z.uuid(),
    attempts: z.int(),
    created_at: time,
    failed_at: time,
    failure: z.string(),
  })
  .meta({ id: 'DeadWebhook' });

const messageNumber = z.string().regex(/^\d{1,18}$/);
const cursors = cursorsOf('dead-webhooks', messageNumber);

const tags = ['webhooks'];
const config = { scope: 'admin' } as const;

/** Messages of `/v1/webhooks/{id}` that could not be delivered. */
export const addDeadWebhookRoutes: AddRoutes = (app, { pool }) => {
  app.get(
    '/webhooks/:id/dead',
    {
      config,
      schema: {
        operationId: 'listDeadWebhooks',
        tags,
        summary: 'Messages that were given up, oldest first',
        params: webhookParams,
        querystring: z.object({ cursor: cursorSchema.optional(), limit: pageLimit }),
        response: {
          200: z.object({ messages: z.array(deadMessage), next_cursor: z.string().nullable() }),
          ...PROBLEMS,
          ...NOT_FOUND,
        },
      },
    },
    async ({ principal, params: { id }, query: { cursor, limit } }) => {
      const tenant = seenTenant(principal);
      found(await loadEndpoint(pool, tenant, id));
      const afterId = cursor === undefined ? '0' : cursors.read(cursor);
      const messages = await loadDeadMessages(pool, tenant, { endpointId: id, afterId, max: limit + 1 });
      const page = messages.slice(0, limit);
      const last = messages.length > limit ? page.at(-1) : undefined;
      return {
        messages: page.map((message) => ({
          id: message.id,
          message_id: message.messageId,
          type: message.type,
          call_id: message.callId,
          attempts: message.attempts,
          created_at: message.createdAt.toISOString(),
          failed_at: message.failedAt.toISOString(),
          failure: message.failure,
        })),
        next_cursor: last === undefined ? null : cursors.write(last.id),
      };
    },
  );

  app.post(
    '/webhooks/:id/replay',
    {
      config,
      schema: {
        operationId: 'replayDeadWebhooks',
        tags,
        summary: 'Try dead messages again, under the ids that they had; of a disabled endpoint none',
        params: webhookParams,
        body: z.object({
          ids: z.array(messageNumber).min(1).max(1_000).optional().describe('Left out: all'),
        }),
        response: { 200: z.object({ replayed: z.int() }), ...PROBLEMS, ...BODY_PROBLEMS, ...NOT_FOUND },
      },
    },
    async ({ principal, params: { id }, body: { ids } }) => {
      const tenant = seenTenant(principal);
      found(await loadEndpoint(pool, tenant, id));
      return { replayed: await replayDeadMessages(pool, tenant, id, ids ?? 'all') };
    },
  );
};
