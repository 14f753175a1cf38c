import { z } from 'zod';

import { CallscribeError } from '../../errors.ts';
import { Secret } from '../../secret.ts';
import {
  addEndpoint,
  disableEndpoint,
  enableEndpoint,
  loadDestination,
  loadEndpoint,
  loadEndpoints,
  nameEndpoint,
  removeEndpoint,
  rotateSecret,
} from '../../store/webhook-endpoints.ts';
import {
  newSecret,
  parseEndpointUrl,
  SECRET_OVERLAP_MS,
  URL_MAX_CHARS,
  type WebhookEndpoint,
} from '../../webhooks/endpoint.ts';
import { ENDPOINT_NAME, ENDPOINT_NAME_RULE } from '../../webhooks/endpoint-name.ts';
import { WEBHOOK_EVENT_TYPES } from '../../webhooks/events.ts';
import { tryEndpoint } from '../../webhooks/try-endpoint.ts';
import type { AddRoutes } from '../context.ts';
import {
  BODY_PROBLEMS,
  isoOrNull,
  NOT_FOUND,
  problemResponse,
  PROBLEMS,
  textOf,
  time,
  timeOrNull,
} from '../schemas.ts';
import { seenTenant } from '../tenant.ts';

const endpointSchema = z
  .object({
    id: z.uuid(),
    tenant: z.string(),
    name: z.string().nullable().describe('By which routing rules name it'),
    url: z.string(),
    event_types: z.array(z.enum(WEBHOOK_EVENT_TYPES)),
    state: z.enum(['active', 'disabled']),
    disabled_reason: z.enum(['operator', 'gone', 'failing']).nullable(),
    created_at: time,
    failures: z.int().describe('In a row, without a success between'),
    failing_since: timeOrNull,
    last_failure: z.string().nullable(),
    delivered: z.number().describe('Messages'),
    delivered_at: timeOrNull.describe('The last of them'),
    waiting: z.int(),
    dead: z.int(),
  })
  .meta({ id: 'WebhookEndpoint' });

const secretSchema = z.string().describe('whsec_…; shown this once');

/** `{id}` of an endpoint. */
export const webhookParams = z.object({ id: z.uuid().transform((text) => text.toLowerCase()) });

const endpointName = z
  .string()
  .regex(ENDPOINT_NAME, `expected ${ENDPOINT_NAME_RULE}`)
  .describe('For the setting webhooks of routing rules; unique in the tenant');

const newEndpoint = z.object({
  url: textOf(URL_MAX_CHARS).describe('https://HOST/PATH'),
  event_types: z
    .array(z.enum(WEBHOOK_EVENT_TYPES))
    .min(1)
    .max(WEBHOOK_EVENT_TYPES.length)
    .default([...WEBHOOK_EVENT_TYPES]),
  name: endpointName.optional(),
  tenant: textOf(128).optional().describe('For credentials that see more than one; else default'),
});

const testOutcome = z
  .object({
    outcome: z.enum(['delivered', 'refused', 'gone', 'failed', 'interrupted']),
    detail: z.string(),
  })
  .meta({ id: 'WebhookTest' });

const NAME_TAKEN = { 409: problemResponse('Another endpoint of the tenant has the name') };

const tags = ['webhooks'];
const config = { scope: 'admin' } as const;

/** `/v1/webhooks`: where a CRM is told of calls. */
export const addWebhookRoutes: AddRoutes = (app, { pool, settings, clock }) => {
  app.get(
    '/webhooks',
    {
      config,
      schema: {
        operationId: 'listWebhooks',
        tags,
        summary: 'Endpoints, oldest first',
        response: { 200: z.object({ webhooks: z.array(endpointSchema) }), ...PROBLEMS },
      },
    },
    async ({ principal }) => ({
      webhooks: (await loadEndpoints(pool, seenTenant(principal))).map(toJson),
    }),
  );

  app.post(
    '/webhooks',
    {
      config,
      schema: {
        operationId: 'addWebhook',
        tags,
        summary: 'An endpoint that is told of what happens from now on',
        body: newEndpoint,
        response: {
          201: z.object({ id: z.uuid(), secret: secretSchema }),
          ...PROBLEMS,
          ...BODY_PROBLEMS,
          ...NAME_TAKEN,
        },
      },
    },
    async ({ principal, body }, reply) => {
      const { event_types: eventTypes, name, tenant = principal.tenant ?? 'default' } = body;
      if (seenTenant(principal, tenant) !== tenant) {
        throw new CallscribeError(
          'WEBHOOK_INVALID',
          'the credential belongs to another tenant; leave tenant out',
        );
      }
      const secret = newSecret();
      const url = parseEndpointUrl(body.url);
      const id = await addEndpoint(pool, { tenant, name, url, eventTypes, secret: new Secret(secret) });
      return reply.code(201).send({ id, secret });
    },
  );

  app.get(
    '/webhooks/:id',
    {
      config,
      schema: {
        operationId: 'getWebhook',
        tags,
        summary: 'One endpoint',
        params: webhookParams,
        response: { 200: endpointSchema, ...PROBLEMS, ...NOT_FOUND },
      },
    },
    async ({ principal, params: { id } }) =>
      toJson(found(await loadEndpoint(pool, seenTenant(principal), id))),
  );

  app.patch(
    '/webhooks/:id',
    {
      config,
      schema: {
        operationId: 'setWebhookState',
        tags,
        summary:
          'Disable it (what waits is dead), enable it again (which ends a pause after failures), or name it',
        params: webhookParams,
        body: z
          .object({ state: z.enum(['active', 'disabled']).optional(), name: endpointName.optional() })
          .refine(({ state, name }) => state !== undefined || name !== undefined, 'expected state or name'),
        response: { 200: endpointSchema, ...PROBLEMS, ...BODY_PROBLEMS, ...NOT_FOUND, ...NAME_TAKEN },
      },
    },
    async ({ principal, params: { id }, body: { state, name } }) => {
      const tenant = seenTenant(principal);
      if (name !== undefined) await nameEndpoint(pool, tenant, id, name);
      if (state === 'active') await enableEndpoint(pool, tenant, id);
      if (state === 'disabled') await disableEndpoint(pool, tenant, id, { reason: 'operator' });
      return toJson(found(await loadEndpoint(pool, tenant, id)));
    },
  );

  app.delete(
    '/webhooks/:id',
    {
      config,
      schema: {
        operationId: 'removeWebhook',
        tags,
        summary: 'Delete it with all that waits for it',
        params: webhookParams,
        response: { 204: z.null().describe('Gone'), ...PROBLEMS, ...NOT_FOUND },
      },
    },
    async ({ principal, params: { id } }, reply) => {
      found((await removeEndpoint(pool, seenTenant(principal), id)) || undefined);
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/webhooks/:id/test',
    {
      config,
      schema: {
        operationId: 'testWebhook',
        tags,
        summary: 'Send webhook.test now',
        params: webhookParams,
        response: { 200: testOutcome, ...PROBLEMS, ...NOT_FOUND },
      },
    },
    async ({ principal, params: { id } }) => {
      const destination = found(await loadDestination(pool, seenTenant(principal), id));
      const outcome = await tryEndpoint(
        { ...settings.webhooks, now: () => clock.wallTime() },
        id,
        destination,
      );
      if (outcome.kind === 'delivered') return { outcome: outcome.kind, detail: `status ${outcome.status}` };
      return { outcome: outcome.kind, detail: outcome.kind === 'interrupted' ? '' : outcome.failure };
    },
  );

  app.post(
    '/webhooks/:id/secret',
    {
      config,
      schema: {
        operationId: 'rotateWebhookSecret',
        tags,
        summary: 'A new secret; the old one signs as well for a day',
        params: webhookParams,
        response: { 200: z.object({ secret: secretSchema }), ...PROBLEMS, ...NOT_FOUND },
      },
    },
    async ({ principal, params: { id } }) => {
      const secret = newSecret();
      const change = { secret: new Secret(secret), overlapMs: SECRET_OVERLAP_MS };
      found((await rotateSecret(pool, seenTenant(principal), id, change)) || undefined);
      return { secret };
    },
  );
};

/** @throws {CallscribeError} NOT_FOUND, also where another tenant has it */
export function found<T>(thing: T | undefined): T {
  if (thing === undefined) throw new CallscribeError('NOT_FOUND', 'there is no such endpoint');
  return thing;
}

function toJson(endpoint: WebhookEndpoint): z.infer<typeof endpointSchema> {
  const { id, tenant, name, url, state, failures, delivered, waiting, dead } = endpoint;
  return {
    id,
    tenant,
    name,
    url,
    event_types: [...endpoint.eventTypes],
    state,
    disabled_reason: endpoint.disabledReason,
    created_at: endpoint.createdAt.toISOString(),
    failures,
    failing_since: isoOrNull(endpoint.failingSince),
    last_failure: endpoint.lastFailure,
    delivered,
    delivered_at: isoOrNull(endpoint.deliveredAt),
    waiting,
    dead,
  };
}
