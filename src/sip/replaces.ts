import type { DialogTags } from './dialog-user.ts';
import { headerValues } from './header-lines.ts';
import type { RequestText } from './invite.ts';

/** The dialog that an INVITE is to take the place of (RFC 3891). */
export interface Replaces extends DialogTags {
  /** Only where it has not been answered yet. */
  readonly earlyOnly: boolean;
}

/** @returns undefined where there is no such header, or it cannot be read */
export function readReplaces(request: RequestText): Replaces | undefined {
  const [value] = headerValues(request, 'replaces');
  if (value === undefined) return undefined;
  const [sipCallId = '', ...parameters] = value.split(';').map((part) => part.trim());
  const parameter = (name: string): string | undefined =>
    parameters.find((each) => each.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
  // §3: to-tag is the tag of who receives the INVITE.
  const localTag = parameter('to-tag');
  const remoteTag = parameter('from-tag');
  if (sipCallId === '' || localTag === undefined || remoteTag === undefined) return undefined;
  const earlyOnly = parameters.some((each) => each.toLowerCase() === 'early-only');
  return { sipCallId, localTag, remoteTag, earlyOnly };
}
