import fc from 'fast-check';
import { expect, it } from 'vitest';

import { LegMedia } from '../../src/rtp/leg-media.ts';
import { RecordingSink } from '../support/recording-sink.ts';
import { TEST_RTCP } from '../support/rtcp-options.ts';
import { codeAt, codes, rtpDatagram } from '../support/rtp-stream.ts';

/** One packet of a sender and what becomes of it on the way. */
interface Fate {
  readonly samples: number;
  /** Silence before it that is not sent. */
  readonly pauseSamples: number;
  readonly isLost: boolean;
  readonly delayMs: number;
  readonly copyMs: number | undefined;
}

/** What no gap is ever given up for: the shortest wait less the shortest packet. */
const DELAY_MAX_MS = 55;

const fate: fc.Arbitrary<Fate> = fc.record({
  samples: fc.constantFrom(40, 80, 160, 160, 160, 240, 320, 480),
  pauseSamples: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(16_000) }),
  isLost: fc.nat(9).map((dice) => dice === 0),
  delayMs: fc.nat(DELAY_MAX_MS),
  copyMs: fc.option(fc.nat(300), { freq: 9, nil: undefined }),
});

interface Placed extends Fate {
  readonly beginSample: number;
  readonly endSample: number;
}

/** The whole model: where the sender's clock says that each packet is. */
function place(fates: readonly Fate[]): Placed[] {
  let at = 0;
  return fates.map((given) => {
    const beginSample = at + given.pauseSamples;
    at = beginSample + given.samples;
    return { ...given, beginSample, endSample: at };
  });
}

interface Arriving {
  readonly packetNo: number;
  readonly atMs: number;
}

/** Both ends of the leg come as they are, so that they are known. */
function arrivalsOf(packets: readonly Placed[]): Arriving[] {
  return packets
    .flatMap(({ endSample, isLost, delayMs, copyMs }, packetNo): Arriving[] => {
      const sentMs = endSample / 8;
      if (packetNo < 2) return [{ packetNo, atMs: sentMs }];
      if (packetNo === packets.length - 1) return [{ packetNo, atMs: sentMs + DELAY_MAX_MS }];
      if (isLost) return [];
      const arrival = { packetNo, atMs: sentMs + delayMs };
      return copyMs === undefined ? [arrival] : [arrival, { packetNo, atMs: arrival.atMs + copyMs }];
    })
    .sort((a, b) => a.atMs - b.atMs);
}

it('any order of arrival within the wait gives the sender’s timeline, as long as its clock, nothing twice', () => {
  const fates = fc
    .tuple(fc.array(fate, { minLength: 1, maxLength: 120 }), fc.nat(0xffff), fc.nat(0xffff_ffff))
    .map(([more, sequence, timestamp]) => ({
      fates: [{ ...more[0]!, pauseSamples: 0 }, { ...more[0]!, pauseSamples: 0 }, ...more],
      sequence,
      timestamp,
    }));
  fc.assert(
    fc.property(fates, ({ fates: given, sequence, timestamp }) => {
      const packets = place(given);
      const sink = new RecordingSink();
      let startedMs = 0;
      const media = new LegMedia({
        rtcp: TEST_RTCP,
        codecs: new Map([[0, 'PCMU']]),
        telephoneEventPayloadTypes: new Set(),
        comfortNoisePayloadTypes: new Set(),
        sink,
        started: (atMs) => (startedMs = atMs),
      });
      const arrivals = arrivalsOf(packets);
      let tickMs = 0;
      for (const { packetNo, atMs } of arrivals) {
        for (; tickMs <= atMs; tickMs += 100) {
          media.tick(tickMs);
          // What was handed out is never ahead of the clock, nor further behind it than the longest waits together.
          const dueSamples = 8 * (tickMs - startedMs);
          expect(sink.heard.length).toBeLessThanOrEqual(Math.max(0, dueSamples));
          if (sink.heard.length > 0) expect(sink.heard.length).toBeGreaterThan(dueSamples - 8 * 900);
        }
        const { beginSample, samples } = packets[packetNo]!;
        const datagram = rtpDatagram({
          sequenceNumber: sequence + packetNo,
          timestamp: timestamp + beginSample,
          payload: codes(beginSample, samples),
        });
        media.takeRtp(datagram, '192.0.2.1', 4_000, atMs);
      }
      media.finish();

      const expected = new Array<number | 'filled'>(packets.at(-1)!.endSample).fill('filled');
      const arrived = new Set(arrivals.map(({ packetNo }) => packetNo));
      packets.forEach(({ beginSample, endSample }, packetNo) => {
        if (!arrived.has(packetNo)) return;
        for (let i = beginSample; i < endSample; i++) expected[i] = codeAt(i);
      });
      expect(sink.heard.map((entry) => (entry < 0 ? 'filled' : entry))).toEqual(expected);
      expect(media.counters()).toMatchObject({
        packetsReceived: arrivals.length,
        packetsLost: packets.length - arrived.size,
        packetsDuplicate: arrivals.length - arrived.size,
        packetsLate: 0,
        overlapMs: 0,
        timestampResets: 0,
      });
      // Stretches that are told to be lost hold no sample that came, and are as many as are counted.
      for (const [begin, samples] of sink.lostStretches) {
        expect(expected.slice(begin, begin + samples).every((entry) => entry === 'filled')).toBe(true);
      }
      const lostSamples = sink.lostStretches.reduce((sum, [, samples]) => sum + samples, 0);
      expect(lostSamples).toBe(8 * media.counters().concealedMs);
    }),
    { numRuns: 300, seed: 4 },
  );
});
