import { type SessionDescription, write } from 'sdp-transform';

import type { Direction, OfferedLine, SdpOffer } from './sdp.ts';
import { type OwnCrypto, writeCrypto } from './sdp-crypto.ts';

/** Our side of one m-line: the port we receive on, or a refusal (port 0). */
export type LineAnswer =
  | {
      readonly kind: 'accept';
      readonly rtpPort: number;
      readonly rtcpPort: number;
      /** Of a line over SRTP. */
      readonly crypto?: OwnCrypto | undefined;
    }
  | { readonly kind: 'refuse' };

/** What our answers say of us; one for the life of a dialog. */
export interface AnswerSession {
  /** o= session id, a number of up to 62 bits in decimal. */
  readonly sessionId: string;
  /** o= version; grows only when the answer changes (RFC 3264 §8). */
  readonly version: number;
  /** The address that media is to be sent to. */
  readonly address: string;
  readonly side: MediaSide;
}

/** `listens`: a recorder, which never sends (RFC 7866 §7.1.1). `speaks`: it plays prompts as well. */
export type MediaSide = 'listens' | 'speaks';

/** The direction that we answer with (RFC 3264 §6.1): all that the peer lets us do and that we would. */
export function answerDirection(offered: Direction, side: MediaSide): Direction {
  const mayListen = offered === 'sendonly' || offered === 'sendrecv';
  const maySpeak = side === 'speaks' && (offered === 'recvonly' || offered === 'sendrecv');
  if (mayListen) return maySpeak ? 'sendrecv' : 'recvonly';
  return maySpeak ? 'sendonly' : 'inactive';
}

/** The direction that we offer. */
export const offerDirection = (side: MediaSide): Direction => (side === 'speaks' ? 'sendrecv' : 'recvonly');

/**
 * Writes the answer: one m-line per offered one, same order; refused ones keep their words and get port 0
 * (RFC 3264 §6). Labels are echoed, some recording clients send no media without them.
 */
export function writeAnswer(offer: SdpOffer, answers: readonly LineAnswer[], session: AnswerSession): string {
  return writeSession(
    session,
    offer.lines.map((line, index) => {
      const answer = answers[index];
      const chosen = line.g711[0];
      return answer?.kind !== 'accept' || chosen === undefined
        ? refusedLine(line)
        : acceptedLine(line, answer, session, {
            g711: [chosen],
            direction: answerDirection(line.direction, session.side),
          });
    }),
  );
}

/** The description around m-lines that {@link acceptedLine} and {@link refusedLine} gave. */
export function writeSession(session: AnswerSession, media: readonly object[]): string {
  const ipVer = ipVersionOf(session.address);
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
    media,
  } as unknown as SessionDescription);
}

/** A line that is not taken, in the words of who offered it. */
export function refusedLine(line: OfferedLine): object {
  return {
    type: line.media,
    port: 0,
    protocol: line.protocol,
    payloads: line.formats === '' ? '0' : line.formats,
    rtp: [],
    fmtp: [],
    ...labelOf(line),
  };
}

/** A line that is taken, with the payload types that it was offered with. */
export function acceptedLine(
  line: OfferedLine,
  ports: Extract<LineAnswer, { kind: 'accept' }>,
  session: AnswerSession,
  { g711, direction }: { readonly g711: OfferedLine['g711']; readonly direction: Direction },
): object {
  const event = line.telephoneEvent;
  const formats = [
    ...g711.map(({ payloadType }) => payloadType),
    ...(event === undefined ? [] : [event.payloadType]),
    ...(line.comfortNoise === undefined ? [] : [line.comfortNoise]),
  ];
  return {
    type: 'audio',
    port: ports.rtpPort,
    protocol: line.protocol,
    payloads: formats.join(' '),
    rtp: [
      ...g711.map(({ payloadType, law }) => ({ payload: payloadType, codec: law, rate: 8000 })),
      ...(event === undefined ? [] : [{ payload: event.payloadType, codec: 'telephone-event', rate: 8000 }]),
      ...(line.comfortNoise === undefined ? [] : [{ payload: line.comfortNoise, codec: 'CN', rate: 8000 }]),
    ],
    fmtp: event === undefined ? [] : [{ payload: event.payloadType, config: event.events }],
    ...labelOf(line),
    direction,
    ...(ports.crypto === undefined ? {} : { crypto: [writeCrypto(ports.crypto)] }),
    ...(line.rtcpMux
      ? { rtcpMux: 'rtcp-mux' }
      : {
          rtcp: {
            port: ports.rtcpPort,
            netType: 'IN',
            ipVer: ipVersionOf(session.address),
            address: session.address,
          },
        }),
  };
}

const labelOf = (line: OfferedLine): object => (line.label === undefined ? {} : { label: line.label });
const ipVersionOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);
