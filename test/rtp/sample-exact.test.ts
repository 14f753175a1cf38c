import { describe, expect, it } from 'vitest';

import { decodeG711, encodeG711 } from '../../src/audio/g711.ts';
import { LegAudio } from '../../src/audio/leg-audio.ts';
import { type Impairments, NO_IMPAIRMENTS, planPackets } from '../../src/caller/impairment-plan.ts';
import { type CaptionEvent, CaptionReader } from '../../src/caption/reader.ts';
import { LegMedia } from '../../src/rtp/leg-media.ts';
import { seededRandom } from '../../src/seeded-random.ts';
import { type Arrival, FieldSender, SENDER } from '../support/field-sender.ts';
import { TEST_RTCP } from '../support/rtcp-options.ts';

const DURATION_MS = 16_000;
const SENTENCES = [
  { beginMs: 300, endMs: 2_300, text: 'one' },
  { beginMs: 3_100, endMs: 5_100, text: 'two' },
  { beginMs: 6_900, endMs: 8_900, text: 'three' },
  { beginMs: 10_700, endMs: 12_700, text: 'four' },
  { beginMs: 13_500, endMs: 15_500, text: 'five' },
];

const newSender = (): FieldSender => new FieldSender(DURATION_MS, SENTENCES);

interface Heard {
  readonly pcm: Int16Array;
  readonly captions: readonly Extract<CaptionEvent, { kind: 'caption' }>[];
  readonly damaged: readonly boolean[];
  readonly media: LegMedia;
}

/** Hands the arrivals to a leg in the order of their times, ticks it meanwhile, and reads the captions it hears. */
function listen(arrivals: readonly Arrival[], before?: (media: LegMedia, atMs: number) => void): Heard {
  const chunks: Buffer[] = [];
  const media = new LegMedia({
    rtcp: TEST_RTCP,
    codecs: new Map([
      [0, 'PCMU'],
      [8, 'PCMA'],
    ]),
    telephoneEventPayloadTypes: new Set([101]),
    comfortNoisePayloadTypes: new Set([13]),
    sink: new LegAudio((pcm) => chunks.push(pcm)),
    started: () => undefined,
  });
  // A stable sort: what arrives at the same time arrives in the order in which it was sent.
  const sorted = [...arrivals].sort((a, b) => a.atMs - b.atMs);
  let tickMs = sorted[0]!.atMs;
  for (const { atMs, datagram, address, port } of sorted) {
    for (; tickMs <= atMs; tickMs += 100) media.tick(tickMs);
    before?.(media, atMs);
    media.takeRtp(datagram, address, port, atMs);
  }
  media.finish();
  const all = Buffer.concat(chunks);
  const pcm = new Int16Array(all.buffer, all.byteOffset, all.length / 2);
  const reader = new CaptionReader();
  const events = [...reader.feed(pcm), ...reader.finish()];
  return {
    pcm,
    captions: events.filter((event) => event.kind === 'caption'),
    damaged: events.flatMap((event) => (event.kind === 'end' ? [event.damaged] : [])),
    media,
  };
}

/**
 * Every caption is where the sender spoke it, to the sample; every sample that arrived is the sender's, bit for bit;
 * a sentence is whole unless one of its packets is missing; and the leg is as long as the sender spoke.
 */
function expectInPlace(
  heard: Heard,
  sender: FieldSender,
  arrivals: readonly Arrival[],
  decode: (codes: Uint8Array) => Int16Array = (codes) => decodeG711('PCMU', codes),
): void {
  const spoken = decode(sender.codes);
  const isHeard = new Uint8Array(spoken.length);
  for (const { beginSample, endSample } of arrivals) isHeard.fill(1, beginSample, endSample);
  const endSample = Math.max(...arrivals.map((arrival) => arrival.endSample));
  expect(heard.pcm).toHaveLength(endSample);
  expect(heard.pcm.findIndex((sample, i) => isHeard[i] === 1 && sample !== spoken[i])).toBe(-1);

  expect(heard.captions.map(({ caption, beginCode, endCode }) => [caption.text, beginCode, endCode])).toEqual(
    SENTENCES.map(({ text, beginMs, endMs }) => [text, beginMs * 8, endMs * 8]),
  );
  expect(heard.damaged).toEqual(
    SENTENCES.map(({ beginMs, endMs }) => isHeard.subarray(beginMs * 8, endMs * 8).includes(0)),
  );
}

/** Loss, reordering and copies as the test caller makes them, by packet times. */
function impair(sent: readonly Arrival[], rates: Partial<Impairments>, seed: number): Arrival[] {
  const plan = planPackets(sent.length, { ...NO_IMPAIRMENTS, ...rates }, seed);
  return plan.sends.flatMap((numbers, slot) =>
    numbers.map((packetNo) => ({ ...sent[packetNo]!, atMs: sent[slot]!.atMs })),
  );
}

describe('each caption is heard where it was spoken, to the sample', () => {
  it.each([
    ['nothing happens', {}],
    ['packets are lost', { lossRate: 0.02 }],
    ['many packets are lost', { lossRate: 0.06 }],
    ['packets are overtaken', { reorderRate: 0.2 }],
    ['packets come twice', { duplicateRate: 0.3 }],
    ['all of that', { lossRate: 0.03, reorderRate: 0.1, duplicateRate: 0.1 }],
  ])('when %s', (_, rates: Partial<Impairments>) => {
    for (const seed of [1, 2, 3]) {
      const sender = newSender().speakUntil(DURATION_MS);
      const arrivals = impair(sender.sent, rates, seed);
      const heard = listen(arrivals);
      expectInPlace(heard, sender, arrivals);
      expect(heard.media.counters().packetsLost).toBe(Math.round((rates.lossRate ?? 0) * 800));
    }
  });

  it.each([60, 100, 200, 500, 900])('when bursts of %i ms are lost', (burstMs) => {
    const sender = newSender().speakUntil(DURATION_MS);
    const isLost = ({ atMs }: Arrival): boolean => atMs > 4_000 && (atMs - 4_000) % 3_700 <= burstMs;
    const arrivals = sender.sent.filter((arrival) => !isLost(arrival));
    expect(arrivals.length).toBeLessThan(sender.sent.length);
    expectInPlace(listen(arrivals), sender, arrivals);
  });

  it('when the network delays each packet by up to 55 ms', () => {
    const sender = newSender().speakUntil(DURATION_MS);
    const random = seededRandom(5);
    const arrivals = sender.sent.map((arrival, i) => ({
      ...arrival,
      atMs: arrival.atMs + (i < 2 ? 0 : Math.floor(55 * random())),
    }));
    const heard = listen(arrivals);
    expectInPlace(heard, sender, arrivals);
    expect(heard.media.counters()).toMatchObject({ packetsLost: 0, packetsLate: 0 });
  });

  it('when the network stops for 350 ms and delivers all at once', () => {
    const sender = newSender().speakUntil(DURATION_MS);
    const arrivals = sender.sent.map((arrival) => ({
      ...arrival,
      atMs: arrival.atMs % 3_000 > 2_650 ? Math.ceil(arrival.atMs / 3_000) * 3_000 : arrival.atMs,
    }));
    expectInPlace(listen(arrivals), sender, arrivals);
  });

  it('when silence is suppressed', () => {
    const sender = newSender();
    for (const { beginMs, endMs } of SENTENCES) {
      sender.pauseUntil(Math.max(0, beginMs - 300)).speakUntil(endMs + 100);
    }
    // The leg begins with the first sentence; nothing before it was ever sent.
    expect(sender.sent[0]?.beginSample).toBe(0);
    expectInPlace(listen(sender.sent), sender, sender.sent);
  });

  it('when silence is suppressed and packets are lost, too', () => {
    const sender = newSender();
    for (const { beginMs, endMs } of SENTENCES) {
      sender.pauseUntil(Math.max(0, beginMs - 300)).speakUntil(endMs + 100);
    }
    const arrivals = impair(sender.sent, { lossRate: 0.03 }, 8);
    expectInPlace(listen(arrivals), sender, arrivals);
  });

  it.each([13, 19])('when comfort noise of payload type %i is sent between sentences', (payloadType) => {
    const sender = newSender();
    for (const { beginMs, endMs } of SENTENCES) {
      if (beginMs > 300) sender.noiseUntil(beginMs - 40, payloadType);
      sender.speakUntil(endMs + 60);
    }
    const heard = listen(sender.sent);
    expectInPlace(heard, sender, sender.sent);
    expect(heard.media.counters().comfortNoisePackets).toBeGreaterThan(10);
  });

  it.each([
    ['within a sentence', 4_000, 4_000],
    ['in silence', 6_000, 6_000],
    ['after a pause', 5_400, 6_800],
  ])('when the source changes %s', (_, fromMs, toMs) => {
    const sender = newSender().speakUntil(fromMs).pauseUntil(toMs);
    sender.ssrc = 0xbeef;
    sender.sequenceNumber = 12;
    sender.timestampBase = 77;
    sender.speakUntil(DURATION_MS);
    const heard = listen(sender.sent);
    expectInPlace(heard, sender, sender.sent);
    expect(heard.media.counters()).toMatchObject({ ssrcChanges: 1, packetsLost: 0, packetsForeign: 0 });
  });

  it.each([
    ['backwards', 0x1000_0000],
    ['far ahead', 0x4000_0000],
  ])('when the timestamps of one source leap %s', (_, timestampBase) => {
    const sender = newSender().speakUntil(4_000);
    sender.timestampBase = timestampBase;
    sender.speakUntil(DURATION_MS);
    const heard = listen(sender.sent);
    expectInPlace(heard, sender, sender.sent);
    expect(heard.media.counters().timestampResets).toBe(1);
  });

  it('when packet times change, from 5 to 60 ms', () => {
    const sender = newSender();
    [5, 10, 60, 20, 30, 40, 60, 5].forEach((ptimeMs, i) => {
      sender.ptimeSamples = 8 * ptimeMs;
      sender.speakUntil(2_000 * (i + 1));
    });
    expectInPlace(listen(sender.sent), sender, sender.sent);
  });

  it('when packet times change and packets are lost', () => {
    const sender = newSender();
    [20, 60, 5, 30].forEach((ptimeMs, i) => {
      sender.ptimeSamples = 8 * ptimeMs;
      sender.speakUntil(4_000 * (i + 1));
    });
    const arrivals = impair(sender.sent, { lossRate: 0.02 }, 4);
    expectInPlace(listen(arrivals), sender, arrivals);
  });

  it('when the law changes with the payload type', () => {
    const sender = newSender().speakUntil(6_000);
    // The same sound in the other law, with the low bits that carry the captions.
    const rest = sender.codes.subarray(6_000 * 8);
    const lowBits = rest.map((code) => code & 1);
    encodeG711('PCMA', decodeG711('PCMU', rest)).forEach(
      (code, i) => (rest[i] = (code & 0xfe) | lowBits[i]!),
    );
    sender.payloadType = 8;
    sender.speakUntil(DURATION_MS);
    const decode = (codes: Uint8Array): Int16Array =>
      Int16Array.from([
        ...decodeG711('PCMU', codes.subarray(0, 48_000)),
        ...decodeG711('PCMA', codes.subarray(48_000)),
      ]);
    expectInPlace(listen(sender.sent), sender, sender.sent, decode);
  });

  it('when keys are pressed between sentences', () => {
    const sender = newSender();
    sender
      .speakUntil(2_400)
      .pressUntil(2_560, 1)
      .speakUntil(5_200)
      .pressUntil(6_400, 2)
      .speakUntil(DURATION_MS);
    const heard = listen(sender.sent);
    expectInPlace(heard, sender, sender.sent);
    expect(heard.media.counters()).toMatchObject({ telephoneEventPackets: 72, concealedMs: 0, overlapMs: 0 });
  });

  it('when the line is held and the sender’s timestamps count on', () => {
    const sender = newSender().speakUntil(5_200).pauseUntil(10_500).speakUntil(DURATION_MS);
    const held = SENTENCES.findIndex(({ beginMs }) => beginMs > 5_200);
    const heard = listen(sender.sent);
    // The sentence that was spoken into the hold was never sent.
    const texts = SENTENCES.filter((_sentence, i) => i !== held).map(({ text, beginMs }) => [
      text,
      8 * beginMs,
    ]);
    expect(heard.captions.map(({ caption, beginCode }) => [caption.text, beginCode])).toEqual(texts);
    expect(heard.pcm).toHaveLength(DURATION_MS * 8);
    expect(heard.media.counters()).toMatchObject({ packetsLost: 0, overlapMs: 0 });
  });

  it('when the line is held and the sender’s timestamps stand still', () => {
    const sender = newSender().speakUntil(5_200).pauseUntil(10_500);
    sender.timestampBase -= 8 * (10_500 - 5_200);
    sender.speakUntil(DURATION_MS);
    const heard = listen(sender.sent);
    const texts = [0, 1, 3, 4].map((i) => [SENTENCES[i]!.text, 8 * SENTENCES[i]!.beginMs]);
    expect(heard.captions.map(({ caption, beginCode }) => [caption.text, beginCode])).toEqual(texts);
    expect(heard.pcm).toHaveLength(DURATION_MS * 8);
  });

  it('when a re-INVITE moves the source to another port', () => {
    const sender = newSender().speakUntil(4_000);
    const elsewhere = { address: SENDER.address, port: 5_000 };
    sender.source = elsewhere;
    sender.ssrc = 0xcafe;
    sender.sequenceNumber = 1;
    sender.timestampBase = 9;
    sender.speakUntil(DURATION_MS);
    let isAnnounced = false;
    const heard = listen(sender.sent, (media, atMs) => {
      if (isAnnounced || atMs < 3_900) return;
      isAnnounced = true;
      media.relatch(elsewhere);
    });
    expectInPlace(heard, sender, sender.sent);
    expect(heard.media.counters().packetsForeign).toBe(0);
  });
});
