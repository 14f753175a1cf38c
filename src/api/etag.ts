import { createHash } from 'node:crypto';

import type { ApiApp } from './context.ts';

/**
 * Routes whose config says `hasEtag` tell the digest of their answer, and answer 304 to whoever has it already: for
 * answers that are asked for again and again, and seldom change.
 */
export function addEtags(app: ApiApp): void {
  app.addHook('onSend', async (request, reply, payload) => {
    if (request.routeOptions.config.hasEtag !== true) return payload;
    if (reply.statusCode !== 200 || typeof payload !== 'string') return payload;
    const etag = `"${createHash('sha256').update(payload).digest('base64url').slice(0, 27)}"`;
    void reply.headers({ etag, 'cache-control': 'private, no-cache' });
    if (!isKnownEtag(etag, request.headers['if-none-match'])) return payload;
    void reply.code(304).removeHeader('content-type').removeHeader('content-length');
    return Promise.resolve(null);
  });
}

/** Whether a header `If-None-Match` names it (RFC 9110 §13.1.2: weak comparison). */
export function isKnownEtag(etag: string, header: string | undefined): boolean {
  if (header === undefined) return false;
  return (
    header.trim() === '*' || header.split(',').some((known) => known.trim().replace(/^W\//, '') === etag)
  );
}
