import { headerValues } from './header-lines.ts';
import type { RequestText } from './invite.ts';

/** INVITEs with the same key belong to one call (`SIP_JOIN_HEADERS`, Cisco built-in bridge). */
export interface JoinKey {
  /** The header's name, or `cisco-refci`, `cisco-guid`. */
  readonly kind: string;
  readonly value: string;
  /** Which end of the call the dialog carries, where it says so: of each there is one. */
  readonly end: 'near' | 'far' | undefined;
}

const KEY_CHARACTERS_MAX = 512;

/**
 * Whether an INVITE is one of several of a call. A phone's built-in bridge sends both ends in dialogs of their
 * own, which name the call in the From (`x-refci`, unique within its cluster) or by the Cisco-Guid; anything
 * else by a header that is configured.
 *
 * @param joinHeaders names in lower case
 */
export function joinKeyOf(request: RequestText, joinHeaders: readonly string[]): JoinKey | undefined {
  for (const name of joinHeaders) {
    const value = headerValues(request, name)[0]?.trim() ?? '';
    if (value !== '' && value.length <= KEY_CHARACTERS_MAX) {
      return { kind: name, value, end: undefined };
    }
  }
  const from = headerValues(request, 'from', 'f')[0] ?? '';
  const end = /;\s*x-(near|far)end\s*(?:[;>]|$)/i.exec(from)?.[1]?.toLowerCase();
  if (end !== 'near' && end !== 'far') return undefined;
  const parameter = (name: string): string =>
    new RegExp(`;\\s*${name}=([^;>\\s]{1,128})`, 'i').exec(from)?.[1] ?? '';
  const refci = parameter('x-refci');
  if (refci !== '') return { kind: 'cisco-refci', value: `${refci}@${parameter('x-nearendclusterid')}`, end };
  const guid = headerValues(request, 'cisco-guid')[0]?.trim() ?? '';
  return guid === '' ? undefined : { kind: 'cisco-guid', value: guid, end };
}
