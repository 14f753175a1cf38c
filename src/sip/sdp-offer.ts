import type { OfferedLine } from './sdp.ts';
import {
  acceptedLine,
  type AnswerSession,
  type LineAnswer,
  offerDirection,
  refusedLine,
  writeSession,
} from './sdp-answer.ts';

/** A line that we offer where the peer offered none (RFC 3261 §13.2.1): all that a receiver of G.711 takes. */
export const OWN_LINE: OfferedLine = {
  media: 'audio',
  port: 0,
  protocol: 'RTP/AVP',
  formats: '8 0 101 13',
  direction: 'sendrecv',
  label: undefined,
  rtcpMux: false,
  rtcp: undefined,
  crypto: [],
  g711: [
    { payloadType: 8, law: 'PCMA' },
    { payloadType: 0, law: 'PCMU' },
  ],
  telephoneEvent: { payloadType: 101, events: '0-15' },
  comfortNoise: 13,
  address: undefined,
  nullAddress: false,
  information: undefined,
};

/**
 * A line as we offer it anew: what it was agreed with comes first, under the same numbers, and the rest of what
 * we take is added where its number is free (RFC 6337 §5.2.5: all that we can, not only what is in use).
 */
export function widenLine(line: OfferedLine): OfferedLine {
  const taken = new Set(numbersOf(line));
  const free = (payloadType: number | undefined): boolean =>
    payloadType !== undefined && !taken.has(payloadType);
  const missing = OWN_LINE.g711.filter(
    ({ law, payloadType }) => free(payloadType) && !line.g711.some((known) => known.law === law),
  );
  return {
    ...line,
    g711: [...line.g711, ...missing],
    telephoneEvent:
      line.telephoneEvent ??
      (free(OWN_LINE.telephoneEvent?.payloadType) ? OWN_LINE.telephoneEvent : undefined),
    comfortNoise: line.comfortNoise ?? (free(OWN_LINE.comfortNoise) ? OWN_LINE.comfortNoise : undefined),
  };
}

/** A line that we have offered, as the peer's answer leaves it: what we offered may still arrive (RFC 3264 §6.1). */
export function agreeLine(offered: OfferedLine, answer: OfferedLine): OfferedLine {
  // Without one of our codecs it is no line of ours.
  if (answer.g711.length === 0) return answer;
  const known = new Set(numbersOf(answer));
  return {
    ...answer,
    label: answer.label ?? offered.label,
    g711: [...answer.g711, ...offered.g711.filter(({ payloadType }) => !known.has(payloadType))],
    telephoneEvent: answer.telephoneEvent ?? offered.telephoneEvent,
    comfortNoise: answer.comfortNoise ?? offered.comfortNoise,
  };
}

function numbersOf({ g711, telephoneEvent, comfortNoise }: OfferedLine): (number | undefined)[] {
  return [...g711.map(({ payloadType }) => payloadType), telephoneEvent?.payloadType, comfortNoise];
}

/** Our side of one line: open for all that the line names, or closed. */
export interface OwnLine {
  readonly line: OfferedLine;
  readonly ports: LineAnswer;
}

/**
 * Writes our offer. A line that is open says all that we would do also where the peer holds it just now: whoever
 * asks us to offer may want to go on (RFC 6337 §5.3).
 */
export function writeOffer(lines: readonly OwnLine[], session: AnswerSession): string {
  return writeSession(
    session,
    lines.map(({ line, ports }) =>
      ports.kind === 'refuse'
        ? refusedLine(line)
        : acceptedLine(line, ports, session, { g711: line.g711, direction: offerDirection(session.side) }),
    ),
  );
}
