import { describe, expect, it } from 'vitest';
import { RtcpSrPacket } from 'werift-rtp';

import { type Clock, systemClock } from '../../src/clock.ts';
import { Pacer } from '../../src/pacer.ts';
import type { SendTerms } from '../../src/rtp/leg-player.ts';
import { parseRtpPacket, type RtpPacket } from '../../src/rtp/packet.ts';
import type { Prompt } from '../../src/rtp/prompt.ts';
import { parseRtcp } from '../../src/rtp/rtcp.ts';
import { timestampDelta } from '../../src/rtp/sequence.ts';
import { type MediaPeer, openLeg, openPeer } from '../support/media-leg.ts';
import { codes, rtpDatagram } from '../support/rtp-stream.ts';
import { SrtpPeer, testKey } from '../support/srtp-stream.ts';

const termsFor = (port: number, over: Partial<SendTerms> = {}): SendTerms => ({
  payloadType: 0,
  law: 'PCMU',
  signalled: { address: '127.0.0.1', port },
  takes: 'media',
  ...over,
});
const promptOf = (samples: number): Prompt => ({
  PCMU: codes(0, samples),
  PCMA: codes(0, samples).map((code) => code | 1),
});

/** Copies: a packet is read in place. */
async function packetsAt(peer: MediaPeer, count: number): Promise<(RtpPacket & { fromPort: number })[]> {
  const packets = [];
  while (packets.length < count) {
    const { bytes, fromPort } = await peer.next();
    packets.push(Object.assign(parseRtpPacket(Buffer.from(bytes)), { fromPort }));
  }
  return packets;
}

const payloadsOf = (packets: readonly RtpPacket[]): Buffer =>
  Buffer.concat(
    packets.map(({ bytes, payloadBegin, payloadEnd }) => bytes.subarray(payloadBegin, payloadEnd)),
  );

const stepsOf = (packets: readonly RtpPacket[]): number[] =>
  packets.slice(1).map(({ timestamp }, i) => timestampDelta(timestamp, packets[i]!.timestamp));

/** Real time, which a test lets leap. */
class LeapingClock implements Clock {
  #leapMs = 0;
  leap(ms: number): void {
    this.#leapMs += ms;
  }
  monotonicMs(): number {
    return systemClock.monotonicMs() + this.#leapMs;
  }
  wallTime(): Date {
    return systemClock.wallTime();
  }
}

describe('a leg that speaks', () => {
  it('sends from its RTP port a steady stream: silence, each prompt bit for bit, silence', async () => {
    const peer = await openPeer();
    const leg = await openLeg();
    const player = leg.speak(termsFor(peer.port));
    const before = await packetsAt(peer, 3);
    const outcome = player.play(promptOf(500));
    const packets = [...before, ...(await packetsAt(peer, 10))];
    expect(await outcome).toBe('played');
    const audio = payloadsOf(packets);
    const begin = audio.indexOf(codes(0, 500));
    expect(begin % 160).toBe(0);
    expect(audio.subarray(0, begin).every((code) => code === 0xff)).toBe(true);
    expect(audio.subarray(begin + 500).every((code) => code === 0xff)).toBe(true);
    expect(new Set(packets.map(({ ssrc }) => ssrc)).size).toBe(1);
    expect(new Set(packets.map(({ fromPort }) => fromPort))).toEqual(new Set([leg.rtpPort]));
    expect(packets[0]).toMatchObject({ marker: true, payloadType: 0 });
    // A machine that stands still makes us leave packets out, and mark the one behind them.
    expect(stepsOf(packets).map((step) => step % 160)).toEqual(Array(packets.length - 1).fill(0));
    expect(packets.slice(1).map(({ marker }) => marker)).toEqual(
      stepsOf(packets).map((step) => step !== 160),
    );
    leg.finish();
    expect(leg.counters().packetsSent).toBeGreaterThanOrEqual(13);
  });

  it('sends back to where its peer’s media comes from, once it comes', async () => {
    const [signalled, peer] = [await openPeer(), await openPeer()];
    const leg = await openLeg({ signalled: { address: '127.0.0.1', port: signalled.port } });
    leg.speak(termsFor(signalled.port));
    await packetsAt(signalled, 2);
    for (let i = 0; i < 3; i++) {
      const payload = codes(160 * i, 160);
      peer.send(rtpDatagram({ sequenceNumber: i, timestamp: 160 * i, payload }), leg.rtpPort);
    }
    expect(await packetsAt(peer, 2)).toHaveLength(2);
  });

  it('sends nothing while the line is held; clock and prompt run on, and a talkspurt begins behind it', async () => {
    const peer = await openPeer();
    const leg = await openLeg();
    const player = leg.speak(termsFor(peer.port));
    const [before] = await packetsAt(peer, 1);
    player.direct(termsFor(0, { takes: 'nothing', signalled: { address: undefined, port: 0 } }));
    expect(await player.play(promptOf(800))).toBe('played');
    const sent = leg.counters().packetsSent;
    player.direct(termsFor(peer.port, { payloadType: 8, law: 'PCMA' }));
    const packets = (await packetsAt(peer, sent + 3)).slice(sent - 1);
    expect(packets[0]).toMatchObject({ marker: true, payloadType: 8 });
    expect(packets[0]!.sequenceNumber).toBe((before!.sequenceNumber + sent) & 0xffff);
    expect(timestampDelta(packets[0]!.timestamp, before!.timestamp)).toBeGreaterThanOrEqual(800);
    expect(payloadsOf(packets).every((code) => code === 0xd5)).toBe(true);
  });

  it('leaves out what a stall made late but for 60 ms; the clock is right and the prompt whole', async () => {
    const clock = new LeapingClock();
    const peer = await openPeer();
    const leg = await openLeg({ clock, pacer: new Pacer(clock) });
    const player = leg.speak(termsFor(peer.port));
    const played = player.play(promptOf(3_200));
    const before = await packetsAt(peer, 3);
    clock.leap(5_000);
    const packets = [...before, ...(await packetsAt(peer, 20))];
    expect(await played).toBe('played');
    const leaps = stepsOf(packets).filter((step) => step > 8 * 1_000);
    expect(leaps).toHaveLength(1);
    expect(leaps[0]).toBeGreaterThanOrEqual(8 * (5_000 - 60));
    expect(leg.counters().packetsLeftOut).toBeGreaterThanOrEqual((5_000 - 60) / 20);
    expect(payloadsOf(packets).subarray(0, 3_200).equals(codes(0, 3_200))).toBe(true);
  });

  it('stops prompts at once, and all at its end', async () => {
    const peer = await openPeer();
    const leg = await openLeg();
    const player = leg.speak(termsFor(peer.port));
    const outcomes = [player.play(promptOf(80_000)), player.play(promptOf(80_000))];
    await packetsAt(peer, 1);
    player.stopPlaying();
    expect(await Promise.all(outcomes)).toEqual(['stopped', 'stopped']);
    const last = player.play(promptOf(80_000));
    leg.finish();
    expect(await last).toBe('stopped');
    const { packetsSent } = leg.counters();
    expect(await player.play(promptOf(160))).toBe('stopped');
    expect(leg.counters().packetsSent).toBe(packetsSent);
  });

  it('reports as a sender with the SSRC of its packets, and says goodbye with it', async () => {
    const [media, reports] = [await openPeer(), await openPeer()];
    const leg = await openLeg({ rtcp: { address: '127.0.0.1', port: reports.port, socket: 'rtcp' } });
    leg.speak(termsFor(media.port));
    const [first] = await packetsAt(media, 1);
    const report = parseRtcp((await reports.next()).bytes)?.reports[0];
    expect(report).toBeInstanceOf(RtcpSrPacket);
    const { ssrc, senderInfo } = report as RtcpSrPacket;
    expect(ssrc).toBe(first!.ssrc);
    const sentMs = senderInfo.packetCount * 20;
    expect(senderInfo.octetCount).toBe(senderInfo.packetCount * 160);
    const elapsedMs = timestampDelta(senderInfo.rtpTimestamp, first!.timestamp) / 8;
    expect(Math.abs(elapsedMs - sentMs)).toBeLessThan(1_000);
    const ntpMs = Number(senderInfo.ntpTimestamp >> 32n) * 1_000 - 2_208_988_800_000;
    expect(Math.abs(ntpMs - Date.now())).toBeLessThan(30_000);
    leg.finish();
    await leg.close();
    expect(parseRtcp((await reports.next()).bytes)?.goodbyes).toEqual([ssrc]);
  });

  it('protects its packets by our key, as another implementation reads them', async () => {
    const suite = 'AES_CM_128_HMAC_SHA1_80';
    const peer = await openPeer();
    const leg = await openLeg({ security: { suite, remoteKeys: [testKey(1)], localKey: testKey(2) } });
    const player = leg.speak(termsFor(peer.port));
    void player.play(promptOf(320));
    const seal = new SrtpPeer(suite, testKey(2));
    const packets = [];
    for (let i = 0; i < 6; i++) packets.push(parseRtpPacket(seal.unprotect((await peer.next()).bytes)));
    expect(payloadsOf(packets).includes(Buffer.from(codes(0, 320)))).toBe(true);
  });
});
