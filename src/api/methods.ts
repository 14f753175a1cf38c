import type { FastifyInstance } from 'fastify';

import { CallscribeError } from '../errors.ts';

/**
 * Notes each route that is added from here on, and answers what none of them takes: 405 with `Allow` where the address
 * is one of theirs (RFC 9110 §15.5.6), else 404.
 */
export function answerUnrouted(app: FastifyInstance): void {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const methods = methodsOf.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    methodsOf.set(url, methods);
  });
  app.setNotFoundHandler((request, reply) => {
    const [path = ''] = request.url.split('?', 1);
    const methods = [...methodsOf].find(([url]) => isAddressOf(url, path))?.[1];
    if (methods === undefined || methods.has(request.method)) {
      throw new CallscribeError('NOT_FOUND', 'there is no such route; /openapi.json names all');
    }
    const allowed = [...methods].sort().join(', ');
    void reply.header('allow', allowed);
    throw new CallscribeError(
      'METHOD_NOT_ALLOWED',
      `${request.method} is not for this address: it takes ${allowed}`,
    );
  });
}

function isAddressOf(url: string, path: string): boolean {
  const wanted = url.split('/');
  const given = path.split('/');
  return (
    wanted.length === given.length &&
    wanted.every((part, index) => part.startsWith(':') || part === given[index])
  );
}
