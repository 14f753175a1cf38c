import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';

import { SCOPE_MEANINGS } from '../access/principal.ts';

/** Serves `/openapi.json` (OpenAPI 3.1) and the page `/docs`; both come from the schemas of the routes. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Callscribe', version: '1', description: DESCRIPTION },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
    },
    // A route's scope is what its security asks for.
    transform: (input) => {
      const { schema, url } = jsonSchemaTransform(input);
      const { scope = 'open', form } = input.route.config ?? {};
      const body = form === undefined ? {} : { body: form };
      const security = scope === 'open' ? {} : { security: [{ bearer: [scope] }] };
      return { schema: { ...schema, ...body, ...security }, url };
    },
    transformObject: (input) => withoutUnused(readable(jsonSchemaTransformObject(input))),
  });
  await app.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    // Without the bar of the one who made the page.
    uiConfig: { layout: 'BaseLayout' },
    theme: { title: 'Callscribe: API' },
  });
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
}

/** As much of a document as has to do with named schemas. */
interface Described {
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> };
}

/** Leaves out what zod adds for programs that know no formats and no integers; in examples it looks odd. */
const readable = <T extends object>(document: T): T =>
  JSON.parse(JSON.stringify(document), (name, value: unknown) => {
    const isBound = name === 'minimum' || name === 'maximum';
    if (isBound && Math.abs(Number(value)) === Number.MAX_SAFE_INTEGER) return undefined;
    if (typeof value !== 'object' || value === null || !('format' in value) || !('pattern' in value)) {
      return value;
    }
    return { ...value, pattern: undefined };
  }) as T;

/** Every named schema comes as an input and as an output; a client needs those that something refers to. */
function withoutUnused<T extends object>(document: T): T {
  const { components } = document as Described;
  const schemas = { ...components?.schemas };
  const isUsed = (name: string): boolean => {
    const others = { ...document, components: { ...schemas, [name]: undefined } };
    return JSON.stringify(others).includes(`"#/components/schemas/${name}"`);
  };
  for (;;) {
    const unused = Object.keys(schemas).filter((name) => !isUsed(name));
    if (unused.length === 0) return { ...document, components: { ...components, schemas } };
    for (const name of unused) Reflect.deleteProperty(schemas, name);
  }
}

const DESCRIPTION = [
  'Calls, transcripts, recordings, live events and search. Send `Authorization: Bearer TOKEN`.',
  'Scopes:',
  ...Object.entries(SCOPE_MEANINGS).map(([scope, meaning]) => `- \`${scope}\`: ${meaning}`),
  '',
  'Errors are problem details (RFC 9457); `code` is for programs. Times are RFC 3339, in UTC. Lists come in pages:',
  'send `next_cursor` as `cursor` until it is null. A call of another tenant does not exist.',
].join('\n');
