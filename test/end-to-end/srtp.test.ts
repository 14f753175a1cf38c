import { expect, it } from 'vitest';

import { loadEvents } from '../../src/store/load-events.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { placeCalls, type PlannedLeg } from '../support/place-calls.ts';
import { sampleSlices } from '../support/sample-slices.ts';
import { completedCalls, startTestService } from '../support/service.ts';

const S80 = 'AES_CM_128_HMAC_SHA1_80' as const;
const S32 = 'AES_CM_128_HMAC_SHA1_32' as const;
/** The sequence number wraps after 20 packets, and with it the rollover counter. */
const FIRST_SEQUENCE_NUMBER = 65_516;

it(
  'a call over SRTP, across the wrap of its sequence number, gives the captions and times that it gives over RTP',
  { timeout: 60_000 },
  async () => {
    await using test = await startTestService({ queue: 'postgres' });
    const slices = [(await sampleSlices('agent'))[1]!, (await sampleSlices('customer'))[1]!];
    const legs = slices.map(({ codec, codes, sentence: { party } }, legNo): PlannedLeg => ({
      codec,
      codesBase64: Buffer.from(codes).toString('base64'),
      label: String(legNo + 1),
      party: { name: party, aor: `sip:${party}@pbx.example`, role: party },
    }));
    const protections = [
      undefined,
      { suite: S80, lines: 'all' as const },
      { suite: S32, lines: 'all' as const },
      { suite: S80, lines: 'all-but-first' as const },
    ];
    const { calls: placed } = await placeCalls({
      target: test.target('udp'),
      transport: 'udp',
      calls: protections.map((srtp, callNo) => ({
        mode: 'siprec' as const,
        seed: 50 + callNo,
        legs,
        firstSequenceNumber: FIRST_SEQUENCE_NUMBER,
        ...(srtp === undefined ? {} : { srtp }),
      })),
    });
    expect(placed.map(({ report }) => report.outcome.kind)).toEqual(placed.map(() => 'completed'));

    const stored = await completedCalls(test.pool, protections.length);
    for (const { report } of placed) {
      const call = stored.find(({ sipCallId }) => sipCallId === report.callId)!;
      const storedLegs = await loadLegs(test.pool, call.id);
      const sentences = await loadTranscript(test.pool, call.id);
      for (const [legNo, slice] of slices.entries()) {
        const leg = storedLegs[legNo]!;
        const sent = report.legs[legNo]!;
        if (sent.kind !== 'sent') throw new Error('the leg was refused');
        expect(leg.media).toMatchObject({
          packetsReceived: sent.packetsSent,
          packetsUnauthenticated: 0,
          packetsReplayed: 0,
          rtcpUnauthenticated: 0,
          senderReports: 1,
          senderReportsIgnored: 0,
          rtcpGoodbyes: 1,
        });
        // The caller reads what it is sent by the key of the answer.
        expect(sent.receiverReports).toBeGreaterThan(0);
        const own = sentences.filter(({ legId }) => legId === leg.id);
        expect(own.map(({ text }) => text)).toEqual([slice.sentence.text]);
        expect(Math.abs(own[0]!.beginMs - slice.beginMs)).toBeLessThanOrEqual(60);
        expect(Math.abs(own[0]!.endMs - slice.endMs)).toBeLessThanOrEqual(60);
      }
      const events = await loadEvents(test.pool, call.id);
      expect(events.filter(({ kind }) => kind === 'rtcp_bye')).toHaveLength(2);
    }
    expect(placed.map(({ report }) => report.legs.map((leg) => leg.kind === 'sent' && leg.srtp))).toEqual([
      [undefined, undefined],
      [S80, S80],
      [S32, S32],
      [undefined, S80],
    ]);

    const rows = await test.pool.query<{ row: string }>(
      'select calls::text as row from calls union all select legs::text from legs union all select call_events::text from call_events',
    );
    expect(rows.rows.map(({ row }) => row).join('\n')).not.toMatch(/inline:|keyAndSalt/);
  },
);
