import { expect, test } from 'vitest';

import type { HeardLeg } from '../../src/caller/call-audio.ts';
import { openCaller, type PlaceCallOptions } from '../../src/caller/caller.ts';
import type { LegSource } from '../../src/caller/leg-source.ts';
import type { TelephoneEvent } from '../../src/rtp/telephone-events.ts';
import { codes } from '../support/rtp-stream.ts';
import { answerSpeaking } from './speaking-peer.ts';
import { UasStub } from './uas-stub.ts';

const GREETING = { PCMU: codes(0, 3_210), PCMA: codes(0, 3_210).map((code) => code | 1) };

const silent = (ms: number, codec: 'PCMA' | 'PCMU' = 'PCMU'): readonly [LegSource] => [
  { codec, codes: new Uint8Array(8 * ms).fill(0xff), label: '1' },
];

/** A call to a peer that plays the greeting and, where it is told to, hangs up behind it. */
async function call(
  stub: UasStub,
  options: Omit<PlaceCallOptions, 'mode' | 'onHeard'>,
  { byes, onKey }: { readonly byes: boolean; readonly onKey?: (event: TelephoneEvent) => void },
) {
  await using caller = await openCaller({
    target: { user: undefined, host: '127.0.0.1', port: stub.port },
    transport: 'udp',
  });
  const heard: HeardLeg[] = [];
  const placed = caller.placeCall({ ...options, mode: 'plain', onHeard: (legs) => void heard.push(...legs) });
  stub.onRequest = (request) => {
    if (request.method === 'BYE') request.reply('200 OK');
  };
  const invite = await stub.request('INVITE');
  const { player } = await answerSpeaking(invite, onKey === undefined ? {} : { onTelephoneEvent: onKey });
  const ack = await stub.request('ACK');
  expect(await player.play(GREETING)).toBe('played');
  if (byes) stub.send(stub.inDialog('BYE', ack));
  return { report: await placed, heard };
}

test.each([
  ['PCMU', undefined],
  ['PCMA', undefined],
  ['PCMU', { suite: 'AES_CM_128_HMAC_SHA1_80', lines: 'all' }],
  ['PCMA', { suite: 'AES_CM_128_HMAC_SHA1_32', lines: 'all' }],
] as const)('hears what the peer says, bit for bit, until it hangs up: %s over %j', async (codec, srtp) => {
  await using stub = await UasStub.open();
  const { report, heard } = await call(
    stub,
    { legs: silent(100, codec), srtp, untilByeMs: 60_000 },
    { byes: true },
  );
  expect(report.outcome).toEqual({ kind: 'completed' });
  expect(report.bye).toBeUndefined();
  expect(heard).toHaveLength(1);
  expect(heard[0]!.codec).toBe(codec);
  // By its packets: a machine that stands still delays a prompt, and its audio then has a gap.
  const said = Buffer.concat(heard[0]!.packets.map((packet) => packet.codes));
  expect(said.includes(Buffer.from(GREETING[codec]))).toBe(true);
  expect(report.legs).toMatchObject([
    {
      heard: {
        lost: 0,
        outOfOrder: 0,
        unreadable: 0,
        foreign: 0,
        ssrcs: 1,
        clock: { p50Ms: expect.any(Number) },
      },
    },
  ]);
});

test('presses keys that the peer reads, at their times of the audio', async () => {
  await using stub = await UasStub.open();
  const events: TelephoneEvent[] = [];
  const keys = [
    { atMs: 200, key: '1' },
    { atMs: 300, key: '#' },
  ];
  await call(stub, { legs: silent(1_000), keys }, { byes: false, onKey: (event) => events.push(event) });
  expect(events).toMatchObject([
    { code: 1, durationTicks: 800, end: 'told' },
    { code: 11, durationTicks: 800, end: 'told' },
  ]);
  expect(events[0]!.beginSample).toBe(1_600);
});

test('a peer that was to hang up, and does not, is hung up, and the report says so', async () => {
  await using stub = await UasStub.open();
  const { report } = await call(stub, { legs: silent(100), untilByeMs: 600 }, { byes: false });
  expect(report).toMatchObject({
    outcome: { kind: 'not-ended-by-peer' },
    bye: { kind: 'answered', status: 200 },
  });
});

test('a peer that hangs up before our audio is over ended the call, also where its BYE was awaited', async () => {
  await using stub = await UasStub.open();
  const { report } = await call(stub, { legs: silent(30_000), untilByeMs: 600 }, { byes: true });
  expect(report.outcome).toEqual({ kind: 'ended-by-peer' });
});

test('keys fail the call where the peer takes none', async () => {
  await using stub = await UasStub.open();
  stub.onRequest = (request) => {
    if (request.method === 'INVITE') {
      const sdp = [
        'v=0',
        'o=- 1 1 IN IP4 127.0.0.1',
        's=-',
        'c=IN IP4 127.0.0.1',
        't=0 0',
        'm=audio 9 RTP/AVP 0',
      ];
      request.reply('200 OK', { body: [...sdp, ''].join('\r\n') });
    } else if (request.method === 'BYE') request.reply('200 OK');
  };
  await using caller = await openCaller({
    target: { user: undefined, host: '127.0.0.1', port: stub.port },
    transport: 'udp',
  });
  const report = await caller.placeCall({ mode: 'plain', legs: silent(100), keys: [{ atMs: 0, key: '1' }] });
  expect(report.outcome).toMatchObject({ kind: 'failed', code: 'SIP_NO_COMMON_CODEC' });
});
