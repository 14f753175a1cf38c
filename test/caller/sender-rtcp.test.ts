import { expect, test } from 'vitest';
import { RtcpSrPacket } from 'werift-rtp';

import { SenderRtcp } from '../../src/caller/sender-rtcp.ts';
import { OwnReports } from '../../src/rtp/own-reports.ts';
import { ReceptionStatistics } from '../../src/rtp/reception.ts';
import { parseRtcp } from '../../src/rtp/rtcp.ts';

const SSRC = 0x9a00_0001;

test('a report names the wall time and the RTP timestamp of one moment', () => {
  const rtcp = new SenderRtcp(SSRC);
  const [report] = parseRtcp(rtcp.report(new Date(500), 8_000, 3, 480))?.reports ?? [];
  expect(report).toBeInstanceOf(RtcpSrPacket);
  const { senderInfo } = report as RtcpSrPacket;
  expect(senderInfo).toMatchObject({ rtpTimestamp: 8_000, packetCount: 3, octetCount: 480 });
  expect(senderInfo.ntpTimestamp).toBe((2_208_988_800n << 32n) | 0x8000_0000n);
});

test('reports fall due after 1 s of audio and every 5 s then', () => {
  const rtcp = new SenderRtcp(SSRC);
  const due = Array.from({ length: 800 }, (_, i) => 20 * i).filter((ms) => rtcp.isDue(ms, ms + 20));
  expect(due).toEqual([980, 5_980, 10_980, 15_980]);
});

test('it keeps what the receiver tells, also that it got more than was sent', () => {
  const rtcp = new SenderRtcp(SSRC);
  expect(rtcp.figures).toEqual({ receiverReports: 0, reportedLost: undefined, reportedJitterMs: undefined });
  const statistics = new ReceptionStatistics();
  for (const sequence of [1, 1, 2]) statistics.count(sequence);
  rtcp.take(new OwnReports(7, 'abcdefghijklmnop').write(SSRC, statistics, undefined, 0, undefined));
  rtcp.take(Buffer.from('nonsense'));
  expect(rtcp.figures).toEqual({ receiverReports: 1, reportedLost: -1, reportedJitterMs: 0 });
});

test('it says goodbye only after a report', () => {
  const rtcp = new SenderRtcp(SSRC);
  expect(rtcp.goodbye()).toBeUndefined();
  rtcp.report(new Date(), 0, 0, 0);
  expect(parseRtcp(rtcp.goodbye()!)?.goodbyes).toEqual([SSRC]);
});
