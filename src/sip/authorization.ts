import type Srf from 'drachtio-srf';

import type { InviteCredentials } from './invite-gate.ts';

/** The library's own reader: parameter names as they stand, values with their quotes. It throws where it cannot read. */
export function readAuthorization(request: Srf.SrfRequest): InviteCredentials['authorization'] {
  if (!request.has('authorization')) return [];
  try {
    return request.getParsedHeader('authorization') as unknown as Record<string, string>[];
  } catch {
    return 'unreadable';
  }
}
