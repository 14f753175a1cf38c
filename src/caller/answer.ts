import { parse, type SessionDescription } from 'sdp-transform';

import { CallscribeError } from '../errors.ts';
import { Secret } from '../secret.ts';

export interface AnsweredCrypto {
  readonly tag: number;
  readonly suite: string;
  readonly keyAndSalt: Secret<Buffer>;
}

/** What the answer says to one of our audio lines, in the order of the offer. */
export type AnsweredLine =
  | {
      readonly kind: 'accepted';
      readonly address: string;
      readonly port: number;
      /** Ours, echoed; undefined where the peer dropped it. */
      readonly label: string | undefined;
      readonly direction: string;
      /** Where our RTCP goes: a=rtcp (RFC 3605), else the port above. */
      readonly rtcpPort: number;
      /** By which payload type it takes keys (RFC 4733); undefined where it takes none. */
      readonly telephoneEvent: number | undefined;
      /** The a=crypto line; its key is what the peer sends by. Undefined for a plain line. */
      readonly crypto: AnsweredCrypto | undefined;
    }
  | { readonly kind: 'refused' };

/**
 * Reads an answer to `offeredLines` audio lines.
 *
 * @throws {CallscribeError} SIP_MALFORMED when it is none, has another number of lines (RFC 3264 §6), or an
 *   accepted line has no address
 */
export function readAnswer(sdp: string, offeredLines: number): AnsweredLine[] {
  const session: SessionDescription = parse(sdp);
  if (session.media.length !== offeredLines) {
    throw new CallscribeError(
      'SIP_MALFORMED',
      `the answer has ${session.media.length} media lines, expected ${offeredLines} (RFC 3264 §6)`,
    );
  }
  return session.media.map((media, index): AnsweredLine => {
    // The library leaves out what it can't read, and turns digits into numbers, whatever its types say.
    const port: unknown = media.port;
    const label = media.label as string | number | undefined;
    if (port === 0) return { kind: 'refused' };
    const address = media.connection?.ip ?? session.connection?.ip;
    if (typeof port !== 'number' || address === undefined) {
      throw new CallscribeError(
        'SIP_MALFORMED',
        `media line ${index + 1} of the answer has no address or port`,
      );
    }
    return {
      kind: 'accepted',
      address,
      port,
      label: label === undefined ? undefined : String(label),
      direction: media.direction ?? 'sendrecv',
      rtcpPort: typeof media.rtcp?.port === 'number' ? media.rtcp.port : port + 1,
      telephoneEvent: media.rtp.find(({ codec }) => codec === 'telephone-event')?.payload,
      crypto: readCrypto(media),
    };
  });
}

function readCrypto({ crypto }: SessionDescription['media'][number]): AnsweredCrypto | undefined {
  const [line] = crypto ?? [];
  const found = /^inline:([A-Za-z0-9+/]{40})/.exec(line?.config ?? '');
  if (line === undefined || found === null) return undefined;
  return { tag: line.id, suite: line.suite, keyAndSalt: new Secret(Buffer.from(found[1]!, 'base64')) };
}
