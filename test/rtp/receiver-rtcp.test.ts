import { describe, expect, it } from 'vitest';
import { RtcpRrPacket } from 'werift-rtp';

import { parseRtcp } from '../../src/rtp/rtcp.ts';
import { openLeg, openPeer } from '../support/media-leg.ts';
import { codes, rtpDatagram } from '../support/rtp-stream.ts';
import { SrtpPeer, testKey } from '../support/srtp-stream.ts';

const packet = (i: number): Buffer =>
  rtpDatagram({ sequenceNumber: i, timestamp: 160 * i, payload: codes(160 * i, 160) });

describe('a leg’s receiver reports', () => {
  it('go from the RTCP port to the signalled one, and a BYE follows at the end', async () => {
    const peer = await openPeer();
    const leg = await openLeg({ rtcp: { address: '127.0.0.1', port: peer.port, socket: 'rtcp' } });
    for (let i = 0; i < 5; i++) peer.send(packet(i), leg.rtpPort);
    const { bytes, fromPort } = await peer.next();
    expect(fromPort).toBe(leg.rtcpPort);
    const [report] = parseRtcp(bytes)?.reports ?? [];
    expect(report).toBeInstanceOf(RtcpRrPacket);
    expect(report?.reports).toMatchObject([{ ssrc: 0x1234, highestSequence: 4, packetsLost: 0 }]);
    leg.finish();
    await leg.close();
    const last = parseRtcp((await peer.next()).bytes);
    expect(last?.goodbyes).toEqual([report?.ssrc]);
    expect(leg.counters()).toMatchObject({ rtcpReportsSent: 2, socketErrors: 0 });
  });

  it('go out on the RTP port where both share it, and back to where the peer’s came from', async () => {
    const [signalled, peer] = [await openPeer(), await openPeer()];
    const leg = await openLeg({ rtcp: { address: '127.0.0.1', port: signalled.port, socket: 'rtp' } });
    for (let i = 0; i < 5; i++) peer.send(packet(i), leg.rtpPort);
    peer.send(Buffer.from('80c9000100001234', 'hex'), leg.rtpPort);
    const { bytes, fromPort } = await peer.next();
    expect(fromPort).toBe(leg.rtpPort);
    expect(parseRtcp(bytes)?.reports).toHaveLength(1);
  });

  it('go nowhere while no address is known, and to none that would have to be looked up', async () => {
    for (const address of [undefined, 'recorder.example.org']) {
      const leg = await openLeg({ rtcp: { address, port: 4_001, socket: 'rtcp' } });
      await leg.close();
      expect(leg.counters().rtcpReportsSent).toBe(0);
    }
  });

  it('are protected by our key on a leg with SRTP, and only protected ones are read', async () => {
    const suite = 'AES_CM_128_HMAC_SHA1_32';
    const peer = await openPeer();
    const seal = new SrtpPeer(suite, testKey(1));
    const leg = await openLeg({
      rtcp: { address: '127.0.0.1', port: peer.port, socket: 'rtcp' },
      security: { suite, remoteKeys: [testKey(1)], localKey: testKey(2) },
    });
    for (let i = 0; i < 5; i++) peer.send(seal.protect(packet(i)), leg.rtpPort);
    peer.send(packet(6), leg.rtpPort);
    peer.send(Buffer.from('80c9000100001234', 'hex'), leg.rtcpPort);
    peer.send(seal.protectRtcp(Buffer.from('80c9000100001234', 'hex')), leg.rtcpPort);
    const { bytes } = await peer.next();
    expect(
      parseRtcp(new SrtpPeer(suite, testKey(2)).unprotectRtcp(bytes))?.reports[0]?.reports,
    ).toMatchObject([{ highestSequence: 4 }]);
    expect(leg.counters()).toMatchObject({
      packetsReceived: 5,
      packetsUnauthenticated: 1,
      rtcpPackets: 1,
      rtcpUnauthenticated: 1,
    });
  });
});
