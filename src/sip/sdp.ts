import { parse, type SessionDescription } from 'sdp-transform';

import { CallscribeError, toError } from '../errors.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import { chooseCrypto, type CryptoLine, isSecureProtocol, readCryptoLines } from './sdp-crypto.ts';

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** One m-line of an offer, as far as a receiver of G.711 needs it. */
export interface OfferedLine {
  /** `audio`, `video`, `message`, … */
  readonly media: string;
  readonly port: number;
  /** `RTP/AVP`, `RTP/SAVP`, … */
  readonly protocol: string;
  /** The format list as offered, for refusing the line with the same words. */
  readonly formats: string;
  readonly direction: Direction;
  readonly label: string | undefined;
  readonly rtcpMux: boolean;
  /** Where the peer wants RTCP, by a=rtcp (RFC 3605); undefined: the port above, at the same address. */
  readonly rtcp: { readonly port: number; readonly address: string | undefined } | undefined;
  /** The a=crypto lines that we can use. */
  readonly crypto: readonly CryptoLine[];
  /** G.711 payload types in the offer's order of preference. */
  readonly g711: readonly { readonly payloadType: number; readonly law: G711Law }[];
  readonly telephoneEvent: { readonly payloadType: number; readonly events: string } | undefined;
  readonly comfortNoise: number | undefined;
  /** Where the peer sends from, by its c= line; undefined where it told none or a placeholder. */
  readonly address: string | undefined;
  /** Whether its c= line is the placeholder 0.0.0.0 or ::, by which older equipment holds (RFC 3264 §8.4). */
  readonly nullAddress: boolean;
  /** i= of the line, by which some peers say who speaks on it. */
  readonly information: string | undefined;
}

/** An offer with at least one m-line. */
export interface SdpOffer {
  readonly lines: readonly OfferedLine[];
}

/** Lines beyond this are answered with port 0; a recording has two, a conference a handful. */
const AUDIO_LINES_MAX = 32;
const SDP_CHARACTERS_MAX = 65_536;
const INFORMATION_CHARACTERS_MAX = 256;
/** RFC 3550 §5.1: seven bits. */
const PAYLOAD_TYPE_MAX = 127;
const STATIC_LAWS: ReadonlyMap<number, G711Law> = new Map([
  [0, 'PCMU'],
  [8, 'PCMA'],
]);
/** RFC 3389 §4 and, in older equipment, RFC 3551's reserved 19. */
const STATIC_COMFORT_NOISE = [13, 19];

/**
 * Reads an offer (RFC 8866, 3264).
 *
 * @throws {CallscribeError} SIP_MALFORMED when it holds no m-line or is larger than 64 Ki characters
 */
export function readOffer(sdp: string): SdpOffer {
  if (sdp.length > SDP_CHARACTERS_MAX) {
    throw new CallscribeError(
      'SIP_MALFORMED',
      `session description: found ${sdp.length} characters, expected at most ${SDP_CHARACTERS_MAX}`,
    );
  }
  let session: SessionDescription;
  try {
    session = parse(withoutPortCounts(sdp));
  } catch (error) {
    throw new CallscribeError('SIP_MALFORMED', 'session description: cannot be read', {
      cause: toError(error),
    });
  }
  if (session.media.length === 0) {
    throw new CallscribeError('SIP_MALFORMED', 'session description: found no m-line, expected at least one');
  }
  const unreadable = session.media.findIndex((media) => !isReadable(media));
  if (unreadable !== -1) {
    throw new CallscribeError(
      'SIP_MALFORMED',
      `session description: m-line ${unreadable + 1} of ${session.media.length} is not "m=<media> <port> <proto> <fmt>"`,
    );
  }
  const crypto = readCryptoLines(sdp);
  return { lines: session.media.map((media, index) => readLine(session, media, crypto[index] ?? [])) };
}

/** `m=audio 4000/1 RTP/AVP 0` (RFC 8866 §5.14): the count of ports is not for us, and the parser does not know it. */
function withoutPortCounts(sdp: string): string {
  return sdp.replace(/^(m=\S+ +\d+)\/\d+ /gm, '$1 ');
}

/** The parser leaves the fields out where an m-line does not match its grammar, whatever its types say. */
function isReadable(media: Partial<SessionDescription['media'][number]>): boolean {
  return (
    typeof media.type === 'string' && typeof media.port === 'number' && typeof media.protocol === 'string'
  );
}

function readLine(
  session: SessionDescription,
  media: SessionDescription['media'][number],
  crypto: readonly CryptoLine[],
): OfferedLine {
  const formats = toText(media.payloads);
  const offered = formats
    .split(/\s+/)
    .filter((format) => /^\d{1,3}$/.test(format))
    .map(Number)
    .filter((payloadType) => payloadType <= PAYLOAD_TYPE_MAX);
  const codecOf = new Map(
    media.rtp
      .filter(({ rate }) => rate === 8000)
      .map(({ payload, codec }) => [payload, toText(codec).toUpperCase()]),
  );
  const named = new Map(media.rtp.map(({ payload }) => [payload, true]));
  const nameOf = (payloadType: number): string | undefined =>
    codecOf.get(payloadType) ?? (named.has(payloadType) ? undefined : STATIC_LAWS.get(payloadType));

  const eventPayloadType = offered.find((payloadType) => nameOf(payloadType) === 'TELEPHONE-EVENT');
  // A multicast address may carry a TTL: 224.2.1.1/127.
  const address = toText(media.connection?.ip ?? session.connection?.ip).split('/', 1)[0] || undefined;
  const nullAddress = address === '0.0.0.0' || address === '::';
  return {
    media: media.type,
    port: media.port,
    protocol: media.protocol,
    formats,
    direction: media.direction ?? readDirection(session['direction']),
    label: readLabel(media),
    rtcpMux: media.rtcpMux !== undefined,
    rtcp:
      typeof media.rtcp?.port === 'number'
        ? { port: media.rtcp.port, address: toText(media.rtcp.address) || undefined }
        : undefined,
    crypto,
    g711: offered.flatMap((payloadType) => {
      const law = nameOf(payloadType);
      return law === 'PCMU' || law === 'PCMA' ? [{ payloadType, law }] : [];
    }),
    telephoneEvent:
      eventPayloadType === undefined
        ? undefined
        : {
            payloadType: eventPayloadType,
            events: toText(media.fmtp.find(({ payload }) => payload === eventPayloadType)?.config) || '0-15',
          },
    comfortNoise: offered.find(
      (payloadType) =>
        nameOf(payloadType) === 'CN' ||
        (STATIC_COMFORT_NOISE.includes(payloadType) && !named.has(payloadType)),
    ),
    address: nullAddress ? undefined : address,
    nullAddress,
    information: toText(media.description).trim().slice(0, INFORMATION_CHARACTERS_MAX) || undefined,
  };
}

/** A label is a token (RFC 4574 §4); the parser's types do not know it. */
function readLabel(media: object): string | undefined {
  return 'label' in media ? toText(media.label).trim() || undefined : undefined;
}

/** The parser hands over as a number whatever looks like one: labels, formats, configurations. */
function toText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function readDirection(value: unknown): Direction {
  return value === 'sendonly' || value === 'recvonly' || value === 'inactive' ? value : 'sendrecv';
}

/**
 * Whether the line is G.711 audio that is not switched off, over plain RTP, or over SRTP with a key that we can use.
 * A secure line without one is never taken as a plain one.
 */
export function isAcceptable(line: OfferedLine, index: number): boolean {
  return (
    index < AUDIO_LINES_MAX &&
    line.media === 'audio' &&
    line.port !== 0 &&
    isTakenProtocol(line) &&
    line.g711.length > 0
  );
}

function isTakenProtocol({ protocol, crypto }: OfferedLine): boolean {
  if (isSecureProtocol(protocol)) return chooseCrypto(crypto) !== undefined;
  return protocol === 'RTP/AVP' || protocol === 'RTP/AVPF';
}
