import { describe, expect, it } from 'vitest';

import { LegMedia } from '../../src/rtp/leg-media.ts';
import { isRtcp } from '../../src/rtp/packet.ts';
import { parseRtcp } from '../../src/rtp/rtcp.ts';
import { type CapturedDatagram, hasMaterial, MATERIAL, readPcap } from '../support/pcap.ts';
import { RecordingSink } from '../support/recording-sink.ts';
import { TEST_RTCP } from '../support/rtcp-options.ts';

const SKIPPED = 'skipped where ../shared/material is not beside the repository';

const RTP_FLOWS = [
  // Silence suppression with comfort noise of payload type 13.
  { capture: 'rtp-protocol.pcap', sourcePort: 6_020, packets: 47, comfortNoise: 8 },
  { capture: 'rtp-protocol.pcap', sourcePort: 6_040, packets: 201, comfortNoise: 5 },
  // Silence suppression without a word, with a pause of 5.9 s.
  { capture: 'SIP_CALL_RTP_G711', sourcePort: 8_000, packets: 548 },
  // Noise levels of one byte under the payload type of the codec.
  { capture: 'SIP_CALL_RTP_G711', sourcePort: 4_800, packets: 891, comfortNoise: 16 },
  // 30 ms packets; two lost.
  { capture: 'SIP_DTMF2.cap', sourcePort: 4_374, packets: 665, lost: 2 },
  { capture: 'SIP_DTMF2.cap', sourcePort: 4_376, packets: 666, telephoneEvents: 35 },
  // Probes of 4 and 5 bytes before the first packet.
  { capture: 'sip-rtp-g711.pcap', sourcePort: 27_942, packets: 425, malformed: 2 },
  { capture: 'sip-rtp-g711.pcap', sourcePort: 28_102, packets: 414, malformed: 1 },
  { capture: 'speech_8k_ulaw.pcap', sourcePort: 6_000, packets: 835 },
  { capture: 'rtpproxy_rtcp.a.pcap', sourcePort: 5_000, packets: 236 },
];

function flowOf(capture: string, sourcePort: number): CapturedDatagram[] {
  return readPcap(`${MATERIAL}pcap/${capture}`).filter((datagram) => datagram.sourcePort === sourcePort);
}

/** What a leg must sound like, straight from the bytes: none of these captures has extensions or padding. */
function expectedAudio(flow: readonly CapturedDatagram[]): (number | undefined)[] {
  const packets = flow.filter(({ payload }) => payload.length > 12);
  const firstTimestamp = packets[0]!.payload.readUInt32BE(4);
  const heard: (number | undefined)[] = [];
  for (const { payload } of packets) {
    const isAudio = [0, 8].includes(payload[1]! & 0x7f) && payload.length > 13;
    const index = (payload.readUInt32BE(4) - firstTimestamp) >>> 0;
    if (isAudio) payload.subarray(12).forEach((code, i) => (heard[index + i] = code));
  }
  return heard;
}

describe.skipIf(!hasMaterial)(`captures of real calls (${SKIPPED})`, () => {
  it.each(RTP_FLOWS)('every sample of $capture from port $sourcePort is in its place', (expected) => {
    const flow = flowOf(expected.capture, expected.sourcePort);
    const sink = new RecordingSink();
    const media = new LegMedia({
      rtcp: TEST_RTCP,
      codecs: new Map([
        [0, 'PCMU'],
        [8, 'PCMA'],
      ]),
      telephoneEventPayloadTypes: new Set([96]),
      comfortNoisePayloadTypes: new Set([13]),
      sink,
      started: () => undefined,
    });
    let tickMs = flow[0]!.atMs;
    for (const { atMs, payload, source, sourcePort } of flow) {
      for (; tickMs < atMs; tickMs += 100) media.tick(tickMs);
      media.takeRtp(payload, source, sourcePort, atMs);
    }
    media.finish();

    const heard = sink.heard.map((entry) => (entry < 0 ? undefined : entry));
    expect(heard).toEqual(Array.from(expectedAudio(flow)));
    expect(media.counters()).toMatchObject({
      packetsReceived: expected.packets,
      packetsLost: expected.lost ?? 0,
      comfortNoisePackets: expected.comfortNoise ?? 0,
      telephoneEventPackets: expected.telephoneEvents ?? 0,
      concealedMs: 30 * (expected.lost ?? 0),
      packetsMalformed: expected.malformed ?? 0,
      packetsForeign: 0,
      overlapMs: 0,
      timestampResets: 0,
    });
  });

  it.each([
    { capture: 'rtp-protocol.pcap', sourcePort: 6_021, packets: 1 },
    { capture: 'SIP_CALL_RTP_G711', sourcePort: 4_801, packets: 6 },
    // Two descriptions end in half a word that their length does not count.
    { capture: 'SIP_CALL_RTP_G711', sourcePort: 8_001, packets: 8 },
  ])('reads the RTCP of $capture from port $sourcePort', ({ capture, sourcePort, packets }) => {
    const flow = flowOf(capture, sourcePort);
    expect(flow).toHaveLength(packets);
    for (const { payload } of flow) {
      expect(isRtcp(payload)).toBe(true);
      expect(parseRtcp(payload)).toBeDefined();
    }
  });
});
