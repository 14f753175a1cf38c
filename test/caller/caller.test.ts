import { SyntaxValidator } from 'fast-xml-validator';
import { describe, expect, test } from 'vitest';

import { openCaller } from '../../src/caller/caller.ts';
import type { LegSource } from '../../src/caller/leg-source.ts';
import { extensionOf } from '../../src/sip/metadata-extensions.ts';
import { readMetadata } from '../../src/sip/rs-metadata.ts';
import type { SipProtocol } from '../../src/sipstack/flow.ts';
import { type StubRequest, UasStub } from './uas-stub.ts';

/** 300 ms: fifteen packets of 160 codes, each filled with its own number. */
const numbered = (label: string): LegSource => ({
  codec: label === '1' ? 'PCMA' : 'PCMU',
  codes: Uint8Array.from({ length: 2400 }, (_, index) => Math.floor(index / 160)),
  label,
});

const callerTo = (stub: UasStub, transport: SipProtocol = 'udp'): ReturnType<typeof openCaller> =>
  openCaller({ target: { user: undefined, host: '127.0.0.1', port: stub.port }, transport });

describe.each(['udp', 'tcp'] as const)('over %s', (transport) => {
  test('a SIPREC call: offer and metadata, ACK, every packet at the answered port, BYE', async () => {
    await using stub = await UasStub.open(transport);
    stub.takeCalls();
    await using caller = await callerTo(stub, transport);
    const party = { name: '李 "娜" & Co', aor: 'sip:8001@example.com', role: 'agent' };
    const report = await caller.placeCall({
      mode: 'siprec',
      legs: [{ ...numbered('1'), party }, numbered('2')],
    });

    expect(report.outcome).toEqual({ kind: 'completed' });
    expect(report.legs).toMatchObject([
      { kind: 'sent', label: '1', packets: 15, packetsSent: 15, lost: 0 },
      { kind: 'sent', label: '2', packets: 15, packetsSent: 15, lost: 0 },
    ]);
    expect(stub.requests.map(({ method }) => method)).toEqual(['INVITE', 'ACK', 'BYE']);
    const [invite, ack, bye] = stub.requests;
    expect(invite?.header('require')).toBe('siprec');
    expect(invite?.header('contact')).toMatch(/^<sip:[^>]+>;\+sip\.src$/);
    expect(invite?.header('call-id')).toBe(report.callId);
    expect(ack?.header('cseq')).toBe('1 ACK');
    expect(bye?.header('to')).toMatch(/tag=stub/);

    for (const legNo of [0, 1]) {
      const leg = stub.packets.filter((packet) => packet.legNo === legNo).map(({ bytes }) => bytes);
      expect(leg.map((bytes) => bytes[12])).toEqual([...Array(15).keys()]);
      expect(leg.every((bytes) => (bytes[1]! & 0x7f) === [8, 0][legNo])).toBe(true);
    }
  });
});

test('a SIPREC body has the session description first, then metadata that names who sends which label', async () => {
  await using stub = await UasStub.open();
  stub.takeCalls();
  await using caller = await callerTo(stub);
  const legs = ['1', '2'].map((label) => ({
    ...numbered(label),
    party: { name: `王<${label}>`, aor: `sip:${label}@example.com`, role: 'agent' },
  }));
  await caller.placeCall({ mode: 'siprec', legs: [legs[0]!, legs[1]!] });

  const invite = await stub.request('INVITE');
  const boundary = /boundary=(\S+)/.exec(invite.header('content-type'))?.[1];
  const [preamble, sdp, metadata, end] = invite.body.split(`--${String(boundary)}`);
  expect(preamble).toBe('');
  expect(end).toBe('--\r\n');
  expect(sdp).toMatch(/^\r\nContent-Type: application\/sdp\r\n/);
  expect([...sdp!.matchAll(/a=label:(\S+)/g)].map(([, label]) => label)).toEqual(['1', '2']);
  expect(sdp!.match(/a=sendonly/g)).toHaveLength(2);
  expect(metadata).toMatch(
    /^\r\nContent-Type: application\/rs-metadata\+xml\r\nContent-Disposition: recording-session/,
  );
  const xml = metadata!.slice(metadata!.indexOf('\r\n\r\n') + 4);
  expect(SyntaxValidator.validate(xml)).toBe(true);
  const read = readMetadata(xml);
  expect(read.participants).toMatchObject([
    { name: '王<1>', aor: 'sip:1@example.com' },
    { name: '王<2>', aor: 'sip:2@example.com' },
  ]);
  expect(read.participants.map(({ extensions }) => extensionOf(extensions, 'role'))).toEqual([
    'agent',
    'agent',
  ]);
  expect(read.streams.map(({ label }) => label)).toEqual(['1', '2']);
  const [first, second] = read.streams.map(({ id }) => id);
  expect(read.associations).toMatchObject([
    { participantId: read.participants[0]?.id, sends: [first], receives: [second] },
    { participantId: read.participants[1]?.id, sends: [second], receives: [first] },
  ]);
});

test('a plain call offers one line without a label and without metadata', async () => {
  await using stub = await UasStub.open();
  stub.takeCalls();
  await using caller = await callerTo(stub);
  await caller.placeCall({ mode: 'plain', legs: [numbered('1')], headers: ['X-Ucid: 42'] });
  const invite = await stub.request('INVITE');
  expect(invite.header('content-type')).toBe('application/sdp');
  expect(invite.body.match(/^m=/gm)).toHaveLength(1);
  expect(invite.body).not.toContain('a=label');
  expect(invite.header('x-ucid')).toBe('42');
  expect(invite.header('contact')).not.toContain('+sip.src');
});

test('loss, reordering and duplicates reach the wire as the report counts them', async () => {
  await using stub = await UasStub.open();
  stub.takeCalls();
  await using caller = await callerTo(stub);
  const codes = Uint8Array.from({ length: 100 * 80 }, (_, index) => Math.floor(index / 80));
  const report = await caller.placeCall({
    mode: 'plain',
    legs: [{ codec: 'PCMA', codes, label: '1' }],
    ptimeMs: 10,
    impairments: { lossRate: 0.1, reorderRate: 0.05, duplicateRate: 0.02 },
    seed: 7,
  });
  expect(report.legs).toMatchObject([
    { packets: 100, lost: 10, reordered: 5, duplicated: 2, packetsSent: 92, sendFailures: 0 },
  ]);
  const numbers = stub.packets.map(({ bytes }) => bytes[12]!);
  expect(numbers).toHaveLength(92);
  expect(new Set(numbers).size).toBe(90);
  const overtaken = numbers.filter((no, index) => numbers.slice(0, index).some((before) => before > no));
  expect(overtaken).toHaveLength(5);
});

test('a line that is refused with port 0 gets no audio, the other one all of it', async () => {
  await using stub = await UasStub.open();
  stub.takeCalls([0]);
  await using caller = await callerTo(stub);
  const report = await caller.placeCall({ mode: 'two-legs', legs: [numbered('1'), numbered('2')] });
  expect(report.outcome).toEqual({ kind: 'completed' });
  expect(report.legs).toMatchObject([{ kind: 'refused' }, { kind: 'sent', packetsSent: 15 }]);
  expect(stub.packets.every(({ legNo }) => legNo === 1)).toBe(true);
});

test.each([
  ['486 Busy Here', 486, ''],
  ['503 Service Unavailable', 503, 'Retry-After: 30'],
  ['302 Moved Temporarily', 302, ''],
])('%s is reported and acknowledged', async (status, code, header) => {
  await using stub = await UasStub.open();
  stub.onRequest = (request) => {
    if (request.method === 'INVITE') request.reply(status, { headers: header === '' ? [] : [header] });
  };
  await using caller = await callerTo(stub);
  const report = await caller.placeCall({ mode: 'plain', legs: [numbered('1')] });
  expect(report.outcome).toMatchObject({ kind: 'refused', status: code });
  if (header !== '') {
    expect(report.outcome).toMatchObject({ message: expect.stringContaining('Retry-After 30') });
  }
  expect(report.legs).toMatchObject([{ kind: 'unsent' }]);
  await stub.request('ACK');
});

test('an INVITE that nobody answers is sent again, then given up', async () => {
  await using stub = await UasStub.open();
  await using caller = await callerTo(stub);
  const placed = caller.placeCall({ mode: 'plain', legs: [numbered('1')], answerTimeoutMs: 700 });
  const again = await stub.request('INVITE', 2);
  expect(again.text).toBe(stub.requests[0]?.text);
  expect((await placed).outcome).toMatchObject({ kind: 'failed', code: 'SIP_NO_ANSWER' });
});

test('nothing listening on TCP is one readable failure', async () => {
  const { port } = await (async () => {
    await using stub = await UasStub.open('tcp');
    return stub;
  })();
  await using caller = await openCaller({
    target: { user: undefined, host: '127.0.0.1', port },
    transport: 'tcp',
  });
  const report = await caller.placeCall({ mode: 'plain', legs: [numbered('1')] });
  expect(report.outcome).toMatchObject({ kind: 'failed', code: 'SIP_NO_ANSWER' });
});

test('a retransmitted 200 gets its ACK again', async () => {
  await using stub = await UasStub.open();
  stub.onRequest = (request) => {
    if (request.method === 'INVITE') {
      void stub.answerTo(request).then((body) => {
        request.reply('200 OK', { body });
        request.reply('200 OK', { body });
      });
    } else if (request.method === 'BYE') request.reply('200 OK');
  };
  await using caller = await callerTo(stub);
  await caller.placeCall({ mode: 'plain', legs: [numbered('1')] });
  const acks = [await stub.request('ACK', 1), await stub.request('ACK', 2)];
  expect(acks[1]?.header('cseq')).toBe(acks[0]?.header('cseq'));
  expect(stub.requests.filter(({ method }) => method === 'BYE')).toHaveLength(1);
});

test('the peer hangs up: its BYE is answered, the audio stops, and no BYE is sent', async () => {
  await using stub = await UasStub.open();
  stub.takeCalls();
  await using caller = await callerTo(stub);
  const placed = caller.placeCall({
    mode: 'plain',
    legs: [{ ...numbered('1'), codes: new Uint8Array(80_000) }],
  });
  const ack = await stub.request('ACK');
  stub.send(stub.inDialog('BYE', ack));
  const report = await placed;
  expect(await stub.response()).toMatch(/^SIP\/2\.0 200/);
  expect(report.outcome).toEqual({ kind: 'ended-by-peer' });
  expect(stub.requests.map(({ method }) => method)).toEqual(['INVITE', 'ACK']);
});

test('OPTIONS within the call is answered while the audio goes on', async () => {
  await using stub = await UasStub.open();
  stub.takeCalls();
  await using caller = await callerTo(stub);
  const placed = caller.placeCall({ mode: 'plain', legs: [numbered('1')] });
  const ack = await stub.request('ACK');
  stub.send(stub.inDialog('OPTIONS', ack));
  expect(await stub.response()).toMatch(/^SIP\/2\.0 200/);
  expect((await placed).legs).toMatchObject([{ packetsSent: 15 }]);
});

test('aborting before the answer cancels, aborting after it hangs up', async () => {
  await using stub = await UasStub.open();
  let invite: StubRequest | undefined;
  stub.onRequest = (request) => {
    if (request.method === 'INVITE') (invite = request).reply('180 Ringing');
    if (request.method === 'CANCEL') {
      request.reply('200 OK');
      invite?.reply('487 Request Terminated');
    }
  };
  await using caller = await callerTo(stub);
  const early = new AbortController();
  const ringing = caller.placeCall({
    mode: 'plain',
    legs: [numbered('1')],
    signal: early.signal,
    onEvent: ({ kind }) => {
      if (kind === 'provisional') early.abort(new Error('enough'));
    },
  });
  expect((await ringing).outcome).toEqual({ kind: 'aborted' });
  await stub.request('ACK');
  expect(stub.requests.map(({ method }) => method)).toEqual(['INVITE', 'CANCEL', 'ACK']);

  stub.requests.length = 0;
  stub.takeCalls();
  const late = new AbortController();
  const talking = caller.placeCall({ mode: 'plain', legs: [numbered('1')], signal: late.signal });
  await stub.request('ACK');
  late.abort(new Error('enough'));
  expect((await talking).outcome).toEqual({ kind: 'aborted' });
  expect(stub.requests.map(({ method }) => method)).toEqual(['INVITE', 'ACK', 'BYE']);
});

test('an answer with another number of lines is a failure, and the call is hung up', async () => {
  await using stub = await UasStub.open();
  stub.onRequest = (request) => {
    if (request.method === 'INVITE') request.reply('200 OK', { body: 'v=0\r\ns=-\r\nt=0 0\r\n' });
    if (request.method === 'BYE') request.reply('200 OK');
  };
  await using caller = await callerTo(stub);
  const report = await caller.placeCall({ mode: 'two-legs', legs: [numbered('1'), numbered('2')] });
  expect(report.outcome).toMatchObject({ kind: 'failed', code: 'SIP_MALFORMED' });
  await stub.request('BYE');
});

test('many calls at once keep their own Call-IDs, SSRCs and audio', async () => {
  await using stub = await UasStub.open();
  stub.takeCalls();
  await using caller = await callerTo(stub);
  const reports = await Promise.all(
    Array.from({ length: 10 }, () =>
      caller.placeCall({ mode: 'siprec', legs: [numbered('1'), numbered('2')] }),
    ),
  );
  expect(reports.every(({ outcome }) => outcome.kind === 'completed')).toBe(true);
  expect(new Set(reports.map(({ callId }) => callId)).size).toBe(10);
  const ssrcs = reports.flatMap(({ legs }) =>
    legs.map((leg) => (leg.kind === 'sent' ? leg.ssrc : undefined)),
  );
  expect(new Set(ssrcs).size).toBe(20);
  // No more packets at once than the stub's socket buffer holds while this process is busy.
  expect(stub.packets).toHaveLength(10 * 2 * 15);
});
