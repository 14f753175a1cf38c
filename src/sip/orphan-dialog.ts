import type Srf from 'drachtio-srf';

import { within } from '../within.ts';
import { type DialogPlace, edgeDialogId } from './dialog-place.ts';
import { type EdgeRequest, PEER_OF_DIALOG, sendRequest } from './edge-request.ts';

/** `ended`: the peer took our BYE; `gone`: it knew of no such dialog; `unanswered`: it said nothing. */
export type OrphanEnd = 'ended' | 'gone' | 'unanswered';

const BYE_TIMEOUT_MS = 4_000;
/** Above whatever the edge has used within the dialog, and below 2³¹ (RFC 3261 §8.1.1.5). */
const SEQUENCE_NUMBER = 1_000_000_000;

/**
 * Ends a dialog of a process that is no more. An edge that outlived it knows the dialog still and sends the BYE; where
 * the edge died with it, the BYE is written as its place says (RFC 3261 §12.2.1.1).
 */
export async function hangUpOrphan(srf: Srf, place: DialogPlace, reason: string): Promise<OrphanEnd> {
  const headers = { Reason: `SIP;cause=200;text="${reason}"` };
  const known = await request(srf, {
    uri: PEER_OF_DIALOG,
    method: 'BYE',
    stackDialogId: edgeDialogId(place),
    headers,
  });
  if (known !== 'not-sent') return known;
  const { localAddress, localTag, remoteAddress, remoteTarget, routeSet, sipCallId } = place;
  const written = await request(srf, {
    uri: remoteTarget,
    method: 'BYE',
    headers: {
      From: `${localAddress};tag=${localTag}`,
      To: remoteAddress,
      'Call-ID': sipCallId,
      CSeq: `${SEQUENCE_NUMBER} BYE`,
      ...(routeSet.length === 0 ? {} : { Route: routeSet.join(', ') }),
      ...headers,
    },
  });
  return written === 'not-sent' ? 'unanswered' : written;
}

async function request(srf: Srf, options: EdgeRequest): Promise<OrphanEnd | 'not-sent'> {
  let found: OrphanEnd | 'not-sent' = 'unanswered';
  const answered = sendRequest(srf, options).then((status) => {
    found = status === 481 || status === 408 ? 'gone' : 'ended';
  });
  try {
    await within(BYE_TIMEOUT_MS, answered);
    return found;
  } catch {
    // The edge did not send it: it does not know the dialog.
    return 'not-sent';
  }
}
