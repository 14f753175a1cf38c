import type { RequestContent, RequestText } from './invite.ts';

/**
 * Whether a request has a body of which we can read nothing, and which may not be passed over (RFC 3261 §8.2.3):
 * it gets 415. A body that says `handling=optional` may be.
 */
export function hasUnreadBody(request: RequestText, content: RequestContent): boolean {
  if (content.offer !== undefined || content.metadata !== undefined || content.metadataFault !== undefined) {
    return false;
  }
  const head = /\r?\n\r?\n/.exec(request.raw);
  const body = head === null ? '' : request.raw.slice(head.index + head[0].length);
  return (
    body.trim() !== '' && !/\bhandling\s*=\s*"?optional/i.test(request.header('content-disposition') ?? '')
  );
}
