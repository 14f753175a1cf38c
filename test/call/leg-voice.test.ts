import { describe, expect, it } from 'vitest';

import { LegVoice } from '../../src/call/leg-voice.ts';
import { parseRtpPacket } from '../../src/rtp/packet.ts';
import { type OfferedLine, readOffer } from '../../src/sip/sdp.ts';
import { type MediaPeer, openLeg, openPeer } from '../support/media-leg.ts';
import { rtpDatagram } from '../support/rtp-stream.ts';
import { sdp } from '../support/signalling.ts';

const lineOf = (port: number, ...attributes: string[]): OfferedLine =>
  readOffer(sdp(`m=audio ${port} RTP/AVP 8 0`, ...attributes)).lines[0]!;
const prompt = { PCMU: new Uint8Array(400).fill(1), PCMA: new Uint8Array(400).fill(2) };

const nextPacket = async (peer: MediaPeer): Promise<ReturnType<typeof parseRtpPacket>> =>
  parseRtpPacket((await peer.next()).bytes);

describe('what a leg says', () => {
  it('goes to the line’s address in the first law of its offer', async () => {
    const [peer, leg, voice] = [await openPeer(), await openLeg(), new LegVoice()];
    expect(await voice.play(prompt)).toBe('stopped');
    voice.follow(lineOf(peer.port));
    voice.speak(leg);
    voice.speak(leg);
    const outcome = voice.play(prompt);
    const packets = [await nextPacket(peer), await nextPacket(peer), await nextPacket(peer)];
    expect(new Set(packets.map(({ ssrc }) => ssrc)).size).toBe(1);
    expect(packets[1]).toMatchObject({ payloadType: 8 });
    expect(packets[1]!.bytes[packets[1]!.payloadBegin]).toBe(2);
    expect(await outcome).toBe('played');
  });

  it('begins with the answer to our own offer, which told no address', async () => {
    const [peer, leg, voice] = [await openPeer(), await openLeg(), new LegVoice()];
    voice.follow({ ...lineOf(9), port: 0, address: undefined });
    voice.speak(leg);
    expect(await voice.play(prompt)).toBe('played');
    expect(leg.counters().packetsSent).toBe(0);
    voice.follow(lineOf(peer.port));
    expect(await nextPacket(peer)).toMatchObject({ payloadType: 8, marker: true });
  });

  it.each([
    ['sendonly', (port: number) => lineOf(port, 'a=sendonly')],
    ['inactive', (port: number) => lineOf(port, 'a=inactive')],
    ['the placeholder 0.0.0.0', (port: number) => lineOf(port, 'c=IN IP4 0.0.0.0')],
    ['port 0', () => lineOf(0)],
  ])('falls silent while the peer holds by %s, and comes back', async (_, held) => {
    const [peer, leg, voice] = [await openPeer(), await openLeg(), new LegVoice()];
    voice.follow(lineOf(peer.port));
    voice.speak(leg);
    const { sequenceNumber } = await nextPacket(peer);
    // Its media comes, so there is an address to send to, whatever the description says.
    for (let i = 0; i < 3; i++) {
      peer.send(rtpDatagram({ sequenceNumber: i, timestamp: 160 * i }), leg.rtpPort);
    }
    await voice.play(prompt);
    expect(leg.counters().packetsReceived).toBe(3);
    voice.follow(held(peer.port));
    await voice.play(prompt);
    const { packetsSent } = leg.counters();
    await voice.play(prompt);
    expect(leg.counters().packetsSent).toBe(packetsSent);
    voice.follow(lineOf(peer.port, 'a=recvonly'));
    let back = await nextPacket(peer);
    while (!back.marker) back = await nextPacket(peer);
    expect(back.sequenceNumber).toBe(sequenceNumber + packetsSent);
  });

  it('follows the peer to another port', async () => {
    const [first, second, leg, voice] = [await openPeer(), await openPeer(), await openLeg(), new LegVoice()];
    voice.follow(lineOf(first.port));
    voice.speak(leg);
    await nextPacket(first);
    voice.follow(lineOf(second.port));
    expect(await nextPacket(second)).toMatchObject({ marker: false });
  });
});
