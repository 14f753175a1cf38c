import type Srf from 'drachtio-srf';

import { toError } from '../errors.ts';

/** A request that no `Dialog` of drachtio-srf sends for us. */
export interface EdgeRequest {
  readonly uri: string;
  readonly method: 'BYE' | 'NOTIFY';
  /** The edge fills in what makes it a request of that dialog. */
  readonly stackDialogId?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** In whose place the edge puts the address of the dialog's peer. */
export const PEER_OF_DIALOG = 'sip:placeholder';

interface SentRequest {
  on(event: 'response', listener: (response: Srf.SrfResponse) => void): void;
}

/**
 * Sends a request. Where nobody answers, the edge says 408 in the peer's place; where the edge goes away meanwhile, this
 * never resolves.
 *
 * @returns status of the final response
 * @throws {Error} where the edge did not send it; `code` is `ENODIALOG` where it does not know the dialog
 */
export function sendRequest(srf: Srf, options: EdgeRequest): Promise<number> {
  return new Promise((resolve, reject) => {
    // The types know requests outside of dialogs only, and a URI as the first argument.
    const send = srf.request.bind(srf) as unknown as (
      options: EdgeRequest,
      callback: (error: unknown, sent: SentRequest) => void,
    ) => void;
    send({ ...options }, (error, sent) => {
      if (error !== null && error !== undefined) {
        reject(toError(error));
        return;
      }
      sent.on('response', (response) => {
        if (response.status >= 200) resolve(response.status);
      });
    });
  });
}
