import { parse, type SessionDescription, write } from 'sdp-transform';

import { CallscribeError, toError } from '../errors.ts';
import type { G711Law } from '../rtp/payload-map.ts';

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
  /** G.711 payload types in the offer's order of preference. */
  readonly g711: readonly { readonly payloadType: number; readonly law: G711Law }[];
  readonly telephoneEvent: { readonly payloadType: number; readonly events: string } | undefined;
  readonly comfortNoise: number | undefined;
  /** Where the peer sends from, by its c= line; undefined where it told none or a placeholder. */
  readonly address: string | undefined;
}

/** An offer with at least one m-line. */
export interface SdpOffer {
  readonly lines: readonly OfferedLine[];
}

/** Our side of one m-line: the port we receive on, or a refusal (port 0). */
export type LineAnswer =
  | { readonly kind: 'accept'; readonly rtpPort: number; readonly rtcpPort: number }
  | { readonly kind: 'refuse' };

/** What our answers say of us; one for the life of a dialog. */
export interface AnswerSession {
  /** o= session id, a number of up to 62 bits in decimal. */
  readonly sessionId: string;
  /** o= version; grows only when the answer changes (RFC 3264 §8). */
  readonly version: number;
  /** The address that media is to be sent to. */
  readonly address: string;
}

/** Lines beyond this are answered with port 0; a recording has two, a conference a handful. */
const AUDIO_LINES_MAX = 32;
const SDP_CHARACTERS_MAX = 65_536;
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
    session = parse(sdp);
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
  return { lines: session.media.map((media) => readLine(session, media)) };
}

/** The parser leaves the fields out where an m-line does not match its grammar, whatever its types say. */
function isReadable(media: Partial<SessionDescription['media'][number]>): boolean {
  return (
    typeof media.type === 'string' && typeof media.port === 'number' && typeof media.protocol === 'string'
  );
}

function readLine(session: SessionDescription, media: SessionDescription['media'][number]): OfferedLine {
  const formats = toText(media.payloads);
  const offered = formats
    .split(/\s+/)
    .filter((format) => /^\d{1,3}$/.test(format))
    .map(Number);
  const codecOf = new Map(
    media.rtp.filter(({ rate }) => rate === 8000).map(({ payload, codec }) => [payload, codec.toUpperCase()]),
  );
  const named = new Map(media.rtp.map(({ payload }) => [payload, true]));
  const nameOf = (payloadType: number): string | undefined =>
    codecOf.get(payloadType) ?? (named.has(payloadType) ? undefined : STATIC_LAWS.get(payloadType));

  const eventPayloadType = offered.find((payloadType) => nameOf(payloadType) === 'TELEPHONE-EVENT');
  const address = media.connection?.ip ?? session.connection?.ip;
  return {
    media: media.type,
    port: media.port,
    protocol: media.protocol,
    formats,
    direction: media.direction ?? readDirection(session['direction']),
    label: readLabel(media),
    rtcpMux: media.rtcpMux !== undefined,
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
    address: address === undefined || address === '0.0.0.0' || address === '::' ? undefined : address,
  };
}

/** A label is a token (RFC 4574 §4); the parser's types do not know it. */
function readLabel(media: object): string | undefined {
  return 'label' in media ? toText(media.label) || undefined : undefined;
}

/** The parser hands over as a number whatever looks like one: labels, formats, configurations. */
function toText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function readDirection(value: unknown): Direction {
  return value === 'sendonly' || value === 'recvonly' || value === 'inactive' ? value : 'sendrecv';
}

/** Whether the line is G.711 audio over plain RTP that is not switched off. */
export function isAcceptable(line: OfferedLine, index: number): boolean {
  return (
    index < AUDIO_LINES_MAX &&
    line.media === 'audio' &&
    line.port !== 0 &&
    (line.protocol === 'RTP/AVP' || line.protocol === 'RTP/AVPF') &&
    line.g711.length > 0
  );
}

/**
 * The direction that a receiver answers with. A recorder never sends, so whatever lets the peer send becomes
 * `recvonly` (RFC 7866 §7.1.1).
 */
export function answerDirection(offered: Direction): Direction {
  return offered === 'sendonly' || offered === 'sendrecv' ? 'recvonly' : 'inactive';
}

/**
 * Writes the answer: one m-line per offered one, same order; refused ones keep their words and get port 0
 * (RFC 3264 §6). Labels are echoed, some recording clients send no media without them.
 */
export function writeAnswer(offer: SdpOffer, answers: readonly LineAnswer[], session: AnswerSession): string {
  const ipVer = session.address.includes(':') ? 6 : 4;
  return write({
    version: 0,
    origin: {
      username: 'callscribe',
      sessionId: session.sessionId,
      sessionVersion: session.version,
      netType: 'IN',
      ipVer,
      address: session.address,
    },
    name: 'callscribe',
    connection: { version: ipVer, ip: session.address },
    timing: { start: 0, stop: 0 },
    media: offer.lines.map((line, index) => writeLine(line, answers[index] ?? { kind: 'refuse' }, session)),
  } as unknown as SessionDescription);
}

function writeLine(line: OfferedLine, answer: LineAnswer, session: AnswerSession): object {
  const chosen = line.g711[0];
  const label = line.label === undefined ? {} : { label: line.label };
  if (answer.kind === 'refuse' || chosen === undefined) {
    return {
      type: line.media,
      port: 0,
      protocol: line.protocol,
      payloads: line.formats === '' ? '0' : line.formats,
      rtp: [],
      fmtp: [],
      ...label,
    };
  }
  const event = line.telephoneEvent;
  const formats = [
    chosen.payloadType,
    ...(event === undefined ? [] : [event.payloadType]),
    ...(line.comfortNoise === undefined ? [] : [line.comfortNoise]),
  ];
  return {
    type: 'audio',
    port: answer.rtpPort,
    protocol: line.protocol,
    payloads: formats.join(' '),
    rtp: [
      { payload: chosen.payloadType, codec: chosen.law, rate: 8000 },
      ...(event === undefined ? [] : [{ payload: event.payloadType, codec: 'telephone-event', rate: 8000 }]),
      ...(line.comfortNoise === undefined ? [] : [{ payload: line.comfortNoise, codec: 'CN', rate: 8000 }]),
    ],
    fmtp: event === undefined ? [] : [{ payload: event.payloadType, config: event.events }],
    ...label,
    direction: answerDirection(line.direction),
    ...(line.rtcpMux
      ? { rtcpMux: 'rtcp-mux' }
      : {
          rtcp: {
            port: answer.rtcpPort,
            netType: 'IN',
            ipVer: session.address.includes(':') ? 6 : 4,
            address: session.address,
          },
        }),
  };
}
