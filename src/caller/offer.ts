import { isIPv6 } from 'node:net';

import { write } from 'sdp-transform';

import type { SrtpSuite } from '../rtp/srtp-key.ts';
import type { Secret } from '../secret.ts';
import { G711_PAYLOAD_TYPE, type G711Codec } from './g711.ts';

export interface OfferOptions {
  /** Where our sockets are bound, as the peer reaches them. */
  readonly address: string;
  /** o= session id, decimal. */
  readonly sessionId: number;
  readonly ptimeMs: number;
  /** A recording client only sends (RFC 7866 §7.1.1); a telephone would also listen. */
  readonly direction: 'sendonly' | 'sendrecv';
  readonly lines: readonly OfferLine[];
}

export interface OfferLine {
  readonly port: number;
  readonly codec: G711Codec;
  readonly label?: string;
  /** Over SRTP, by this key; absent: plain RTP. */
  readonly crypto?: { readonly suite: SrtpSuite; readonly keyAndSalt: Secret<Buffer> } | undefined;
}

/** Dynamic, as almost every telephone numbers it. */
const TELEPHONE_EVENT = 101;

/** The session description of an INVITE (RFC 8866, 3264): one audio line a leg, one G.711 law each. */
export function writeOffer(options: OfferOptions): string {
  const ipVersion = isIPv6(options.address) ? 6 : 4;
  return write({
    version: 0,
    origin: {
      username: 'callscribe',
      sessionId: options.sessionId,
      sessionVersion: 1,
      netType: 'IN',
      ipVer: ipVersion,
      address: options.address,
    },
    name: '-',
    connection: { version: ipVersion, ip: options.address },
    timing: { start: 0, stop: 0 },
    media: options.lines.map(({ port, codec, label, crypto }) => ({
      type: 'audio',
      port,
      protocol: crypto === undefined ? 'RTP/AVP' : 'RTP/SAVP',
      payloads: `${G711_PAYLOAD_TYPE[codec]} ${TELEPHONE_EVENT}`,
      rtp: [
        { payload: G711_PAYLOAD_TYPE[codec], codec, rate: 8000 },
        { payload: TELEPHONE_EVENT, codec: 'telephone-event', rate: 8000 },
      ],
      fmtp: [{ payload: TELEPHONE_EVENT, config: '0-15' }],
      ptime: options.ptimeMs,
      direction: options.direction,
      ...(crypto === undefined
        ? {}
        : {
            crypto: [
              {
                id: 1,
                suite: crypto.suite,
                config: `inline:${crypto.keyAndSalt.reveal().toString('base64')}`,
              },
            ],
          }),
      ...(label === undefined ? {} : { label }),
    })),
  });
}
