import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import type { Authenticate, Credentials } from '../access/authenticate.ts';
import type { Principal, Scope } from '../access/principal.ts';
import { CallscribeError } from '../errors.ts';
import type { Metrics } from '../metrics.ts';

const TOKEN_MAX_CHARACTERS = 8_192;

/** Sees to it that every route of the app names a scope, and that whoever asks has it. */
export function guardRoutes(app: FastifyInstance, authenticate: Authenticate, metrics: Metrics): void {
  app.decorateRequest('principal', null as unknown as Principal);
  app.addHook('onRoute', ({ config, url }) => {
    if (config?.scope === undefined) throw new Error(`route ${url}: names no scope`);
  });
  app.addHook('onRequest', async (request, reply) => {
    const { scope, takesTicket = false } = request.routeOptions.config;
    if (scope === undefined || scope === 'open') return;
    try {
      request.principal = await authenticate(credentialsOf(request, takesTicket));
      requireScope(request.principal, scope);
    } catch (thrown) {
      if (thrown instanceof CallscribeError) metrics.apiRefusals.inc({ reason: thrown.code });
      challenge(reply, thrown, scope);
      throw thrown;
    }
  });
}

/** @throws {CallscribeError} SCOPE_MISSING */
export function requireScope({ scopes }: Principal, scope: Scope): void {
  if (scopes.includes(scope)) return;
  throw new CallscribeError(
    'SCOPE_MISSING',
    `this needs a credential with the scope ${scope}; yours has ${scopes.join(', ') || 'none'}`,
  );
}

function credentialsOf(request: FastifyRequest, takesTicket: boolean): Credentials {
  const { headers } = request;
  const [, bearer] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
  if (headers.authorization !== undefined && (bearer === undefined || bearer.length > TOKEN_MAX_CHARACTERS)) {
    throw new CallscribeError('UNAUTHENTICATED', 'the header Authorization is not of the form: Bearer TOKEN');
  }
  const { ticket } = request.query as { readonly ticket?: unknown };
  return {
    bearer,
    ticket: takesTicket && typeof ticket === 'string' ? ticket : undefined,
    peerAddress: request.socket.remoteAddress ?? '',
    isForwarded: FORWARDED.some((name) => headers[name] !== undefined),
    host: headers.host ?? '',
    origin: headers.origin,
  };
}

const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'] as const;

/** RFC 6750 §3: which credential is wanted. */
function challenge(reply: FastifyReply, thrown: unknown, scope: Scope): void {
  if (!(thrown instanceof CallscribeError)) return;
  if (thrown.code === 'UNAUTHENTICATED') void reply.header('www-authenticate', 'Bearer realm="callscribe"');
  if (thrown.code === 'SCOPE_MISSING') {
    void reply.header('www-authenticate', `Bearer error="insufficient_scope", scope="${scope}"`);
  }
}
