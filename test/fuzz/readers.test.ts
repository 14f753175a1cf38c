import { expect, it } from 'vitest';

import { CallscribeError } from '../../src/errors.ts';
import { readRtpPacket, RtpPacket } from '../../src/rtp/packet.ts';
import { parseRtcp } from '../../src/rtp/rtcp.ts';
import { seededRandom } from '../../src/seeded-random.ts';
import { hasUnreadBody } from '../../src/sip/body-rules.ts';
import { directionOf } from '../../src/sip/call-direction.ts';
import { identifiersOfHeaders, identifiersOfMetadata, readHeaderLines } from '../../src/sip/identifiers.ts';
import {
  isRecordingSession,
  readContent,
  type RequestContent,
  type RequestText,
} from '../../src/sip/invite.ts';
import { joinKeyOf } from '../../src/sip/join.ts';
import { MetadataHistory } from '../../src/sip/metadata-history.ts';
import { matchParties } from '../../src/sip/parties.ts';
import { readReplaces } from '../../src/sip/replaces.ts';
import { agreeLine } from '../../src/sip/sdp-offer.ts';
import { agreeSessionTimer } from '../../src/sip/session-timer.ts';
import { readSignalledParties } from '../../src/sip/signalled-parties.ts';
import { header, parseSipMessage } from '../../src/sipstack/message.ts';
import { StreamFramer } from '../../src/sipstack/stream-framer.ts';
import {
  INVITE_HEADERS,
  METADATA,
  multipart,
  newDialog,
  PACKETS,
  SDPS,
  type Sender,
  wellFormed,
} from './corpus.ts';
import { mutatePacket, mutateText, pick } from './mutate.ts';

/** `CALLSCRIBE_FUZZ_ROUNDS=200000` for a long night. */
const ROUNDS = Number(process.env['CALLSCRIBE_FUZZ_ROUNDS'] ?? 4_000);
const SENDER: Sender = { transport: 'UDP', hostport: '127.0.0.1:5060', rtpPort: 40_000 };

/** Everything that reads an INVITE, without a socket or a clock. */
function readAll(raw: string): void {
  const message = parseSipMessage(Buffer.from(raw, 'latin1'));
  const request: RequestText = { raw, header: (name) => header(message, name) };
  agreeSessionTimer(request);
  readReplaces(request);
  joinKeyOf(request, ['x-call-id', 'cisco-guid']);
  const lines = readHeaderLines(raw);
  identifiersOfHeaders(lines);
  const signalled = readSignalledParties(lines);
  let content: RequestContent | undefined;
  try {
    content = readContent(request);
  } finally {
    if (content !== undefined) hasUnreadBody(request, content);
  }
  const recording = isRecordingSession(request, content);
  const history = new MetadataHistory();
  if (content.metadata !== undefined) {
    history.apply(content.metadata, new Date(0));
    identifiersOfMetadata(content.metadata);
  }
  directionOf({ recording, extensions: history.extensions, headers: lines });
  const offered = content.offer?.lines ?? [];
  for (const line of offered) for (const other of offered) agreeLine(line, other);
  matchParties(
    history.current,
    signalled,
    offered.map((line, index) => ({ ...line, index })),
  );
  JSON.stringify(history.toRecord());
}

it(
  `${ROUNDS} mutated INVITEs, bodies and documents: what cannot be read is named, nothing else is thrown`,
  { timeout: 600_000 },
  () => {
    const random = seededRandom(7_866);
    const outcomes = { read: 0, refused: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const [sdp, metadata] = [pick(random, SDPS)(SENDER), pick(random, METADATA)];
      const type = 'multipart/mixed;boundary=fuzz';
      const headers = pick(random, INVITE_HEADERS);
      const make = (body: string, of = type): string =>
        wellFormed(SENDER, 'INVITE', newDialog(), { headers, body, type: of });
      const whole = make(multipart(sdp, metadata));
      const texts = [
        mutateText(random, whole, METADATA[0]!),
        make(mutateText(random, sdp, pick(random, SDPS)(SENDER)), 'application/sdp'),
        make(mutateText(random, multipart(sdp, metadata), whole)),
        make(multipart(sdp, mutateText(random, metadata, pick(random, METADATA)))),
      ];
      for (const text of texts) {
        try {
          readAll(text);
          outcomes.read += 1;
        } catch (error) {
          if (!(error instanceof CallscribeError)) throw new Error(JSON.stringify(text), { cause: error });
          outcomes.refused += 1;
        }
      }
    }
    expect(outcomes.read).toBeGreaterThan(ROUNDS);
    expect(outcomes.refused).toBeGreaterThan(ROUNDS / 10);
  },
);

it(`${ROUNDS} mutated packets are read or counted, never thrown at anybody`, () => {
  const random = seededRandom(3_550);
  const packet = new RtpPacket();
  for (let round = 0; round < ROUNDS * 5; round += 1) {
    const state = { seq: round, timestamp: round * 160, ssrc: 1 };
    const bytes = mutatePacket(random, pick(random, PACKETS)(state));
    try {
      readRtpPacket(bytes, packet);
      parseRtcp(bytes);
    } catch (error) {
      throw new Error(bytes.toString('hex'), { cause: error });
    }
  }
});

it(`${ROUNDS} mutated streams are cut into messages or given up`, () => {
  const random = seededRandom(3_261);
  for (let round = 0; round < ROUNDS; round += 1) {
    const text =
      wellFormed(SENDER, 'OPTIONS', newDialog()) +
      wellFormed(SENDER, 'INVITE', newDialog(), { body: SDPS[0]!(SENDER) });
    const bytes = Buffer.from(mutateText(random, text, METADATA[0]!), 'latin1');
    const framer = new StreamFramer({ messageMaxBytes: 4_096 });
    try {
      for (let from = 0; from < bytes.length;) {
        const to = from + 1 + Math.floor(random() * 300);
        framer.push(bytes.subarray(from, to), () => undefined);
        expect(framer.pendingBytes).toBeLessThanOrEqual(4_096 + 300);
        from = to;
      }
    } catch (error) {
      expect(error).toBeInstanceOf(CallscribeError);
    }
  }
});
