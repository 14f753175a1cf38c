import { readHeaderLines } from './identifiers.ts';
import type { RequestText } from './invite.ts';

/** Every value of a header, in order. @param names in lower case, the compact form among them */
export function headerValues(request: RequestText, ...names: string[]): readonly string[] {
  return readHeaderLines(request.raw).flatMap(({ name, value }) => (names.includes(name) ? [value] : []));
}

/** Whether the peer knows an extension (RFC 3261 §20.37). */
export const supports = (request: RequestText, option: string): boolean =>
  hasToken(request, option, 'supported', 'k') || requires(request, option);

/** Whether the peer insists on an extension (RFC 3261 §20.32). */
export const requires = (request: RequestText, option: string): boolean =>
  hasToken(request, option, 'require');

function hasToken(request: RequestText, token: string, ...names: string[]): boolean {
  return headerValues(request, ...names)
    .flatMap((value) => value.split(','))
    .some((found) => found.trim().toLowerCase() === token);
}
