import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import type { DigestAlgorithm } from '../../src/sip/digest.ts';
import { InviteGate } from '../../src/sip/invite-gate.ts';
import { SipListener } from '../../src/sip/listener.ts';
import { PeerAccess } from '../../src/sip/peer-access.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { headerOf, invite, newCall, OFFER, request, type SipPeer, udpPeer } from '../support/sip-peer.ts';
import { startSipServer, type TestSipServer } from '../support/sip-server.ts';

const run = promisify(execFile);

let server: TestSipServer;
let listener: SipListener;
let peer: SipPeer;
let clock: FakeClock;
let turnedAway: string[];
let accepting: boolean;
/** INVITEs that reached the calls; they are refused there with 488, which tells them from all others. */
let reached: { callId: string; recording: boolean }[];

async function start(
  options: {
    digest?: ConstructorParameters<typeof InviteGate>[0]['digest'];
    callsPerSecond?: number;
    allow?: string;
    strangers?: '403' | 'silent';
  } = {},
): Promise<void> {
  const note = (reason: string): void => void turnedAway.push(reason);
  const peers = new PeerAccess({
    allow: [options.allow ?? '127.0.0.0/8'],
    strangers: options.strangers ?? '403',
    onTurnedAway: note,
    clock,
  });
  server = await startSipServer({ admit: (address) => peers.admit(address) });
  listener = await SipListener.connect({
    server,
    peers,
    gate: new InviteGate({
      callsPerSecond: options.callsPerSecond ?? 100,
      digest: options.digest,
      nonceKey: server.secret,
      onTurnedAway: note,
      clock,
    }),
    onInvite: ({ sipCallId, recording }) => {
      reached.push({ callId: sipCallId, recording });
      return Promise.resolve({ kind: 'refuse', status: 488 });
    },
    isAccepting: () => accepting,
    onInviteAnswered: () => undefined,
    onProbe: () => undefined,
    onEdgeLost: () => undefined,
    quietLimitMs: 3_600_000,
    logger: silentLogger,
  });
  peer = await udpPeer(server.sip.udp);
}
beforeEach(() => {
  clock = new FakeClock();
  turnedAway = [];
  reached = [];
  accepting = true;
});
afterEach(async () => {
  await peer.close();
  listener.close();
  await server[Symbol.asyncDispose]();
});

/** Sends an INVITE and acknowledges its refusal. */
async function ask(
  headers: readonly string[] = [],
  options: { cseq?: number; body?: string } = {},
): Promise<string> {
  const call = newCall();
  peer.send(invite(peer, call, { headers, body: OFFER, ...options }));
  const final = await peer.next(new RegExp(`^SIP/2.0 [2-6][^]*Call-ID: ${call.callId}`));
  const toTag = /\r\nTo:[^\r]*tag=([^\r;]+)/i.exec(final)?.[1] ?? '';
  peer.send(request(peer, 'ACK', call, { toTag, branch: call.branch, cseq: options.cseq ?? 1 }));
  return final;
}
const statusOf = (response: string): string => /^SIP\/2.0 (\d+)/.exec(response)![1]!;

const DIGEST = {
  realm: 'calls',
  users: [{ name: 'alice', secret: 'sesame' }],
  algorithms: ['SHA-256', 'MD5'],
} as const;

/** What a client makes of a challenge. */
function authorization(
  challenged: string,
  algorithm: DigestAlgorithm,
  options: { secret?: string; nc?: string } = {},
): string {
  const { secret = 'sesame', nc = '00000001' } = options;
  const challenge = challenged
    .split('\r\n')
    .find((line) => /^WWW-Authenticate: /i.test(line) && line.includes(`algorithm=${algorithm}`))!;
  const nonce = /nonce="([^"]+)"/.exec(challenge)![1]!;
  const hash = (text: string): string =>
    createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
      .update(text)
      .digest('hex');
  const uri = 'sip:uas@example.org';
  const response = hash(`${hash(`alice:calls:${secret}`)}:${nonce}:${nc}:c1:auth:${hash(`INVITE:${uri}`)}`);
  return (
    `Authorization: Digest username="alice", realm="calls", nonce="${nonce}", uri="${uri}", algorithm=${algorithm}, ` +
    `qop=auth, nc=${nc}, cnonce="c1", response="${response}"`
  );
}

describe('a plain call, where credentials are asked', () => {
  it.each(['SHA-256', 'MD5'] as const)(
    'is challenged, and passes with an answer by %s',
    async (algorithm) => {
      await start({ digest: DIGEST });
      const challenged = await ask();
      expect(statusOf(challenged)).toBe('401');
      expect(
        challenged.match(
          /^WWW-Authenticate: Digest realm="calls", nonce="[^"]+", algorithm=(SHA-256|MD5), qop="auth"\r$/gm,
        ),
      ).toHaveLength(2);
      expect(challenged.indexOf('algorithm=SHA-256')).toBeLessThan(challenged.indexOf('algorithm=MD5'));
      expect(reached).toEqual([]);
      expect(statusOf(await ask([authorization(challenged, algorithm)], { cseq: 2 }))).toBe('488');
      expect(reached).toHaveLength(1);
      expect(turnedAway).toEqual([]);
    },
  );

  it('is told that its nonce is old or was used, and that its user need not be asked', async () => {
    await start({ digest: DIGEST });
    const challenged = await ask();
    const answer = authorization(challenged, 'MD5');
    expect(statusOf(await ask([answer]))).toBe('488');
    const replayed = await ask([answer]);
    expect(statusOf(replayed)).toBe('401');
    expect(headerOf(replayed, 'WWW-Authenticate')).toContain('stale=true');
    expect(statusOf(await ask([authorization(challenged, 'MD5', { nc: '00000002' })]))).toBe('488');
    clock.advance(300_001);
    expect(statusOf(await ask([authorization(challenged, 'MD5', { nc: '00000003' })]))).toBe('401');
    expect(statusOf(await ask([authorization(replayed, 'MD5')]))).toBe('401');
    expect(turnedAway).toEqual([]);
  });

  it('with a wrong secret is challenged again; whoever goes on guessing gets 403, right or wrong', async () => {
    await start({ digest: DIGEST });
    const challenged = await ask();
    for (let guess = 0; guess < 10; guess += 1) {
      expect(statusOf(await ask([authorization(challenged, 'MD5', { secret: `${guess}` })]))).toBe('401');
    }
    expect(statusOf(await ask([authorization(challenged, 'MD5')]))).toBe('403');
    expect(reached).toEqual([]);
    expect(turnedAway).toEqual([...Array<string>(10).fill('credentials'), 'guessing']);
    clock.advance(5_000);
    expect(statusOf(await ask([authorization(challenged, 'MD5')]))).toBe('488');
  });

  it.each([
    ['of another scheme', 'Authorization: Basic YWxpY2U6c2VzYW1l', '401'],
    [
      'for another realm',
      'Authorization: Digest username="alice", realm="x", nonce="y", uri="sip:a", response="z"',
      '401',
    ],
    ['that cannot be read', 'Authorization: =', '400'],
    ['that are empty', 'Authorization: Digest', '400'],
  ])('with credentials %s does not pass', async (_, line, status) => {
    await start({ digest: DIGEST });
    const refused = await ask([line]);
    // A drachtio-server refuses by itself what it cannot read.
    expect([status, '400']).toContain(statusOf(refused));
    expect(reached).toEqual([]);
  });
});

it('a recording session is not asked for credentials', async () => {
  await start({ digest: DIGEST });
  expect(statusOf(await ask(['Require: siprec']))).toBe('488');
  expect(reached).toMatchObject([{ recording: true }]);
});

it('nobody is asked where no users are configured', async () => {
  await start();
  expect(statusOf(await ask())).toBe('488');
});

it('SIPp passes with its own digest authentication', { timeout: 60_000 }, async () => {
  await start({ digest: { ...DIGEST, algorithms: ['MD5'] } });
  const folder = await mkdtemp(join(tmpdir(), 'callscribe-digest-'));
  const scenario = join(folder, 'digest.xml');
  await writeFile(scenario, SIPP_SCENARIO);
  const { host, port } = server.sip.udp;
  const options = ['-m', '3', '-r', '10', '-nostdin', '-timeout', '30', '-timeout_error', '-i', '127.0.0.1'];
  await run('sipp', [
    '-sf',
    scenario,
    ...options,
    '-s',
    'recorder',
    '-au',
    'alice',
    '-ap',
    'sesame',
    `${host}:${port}`,
  ]);
  await rm(folder, { recursive: true });
  expect(reached).toHaveLength(3);
});

it('more calls a second than configured get 503 with Retry-After', async () => {
  await start({ callsPerSecond: 2 });
  const answers = [await ask(), await ask(), await ask()];
  expect(answers.map(statusOf)).toEqual(['488', '488', '503']);
  expect(headerOf(answers[2]!, 'Retry-After')).toBe('5');
  expect(turnedAway).toEqual(['calls_per_second']);
  clock.advance(500);
  expect(statusOf(await ask())).toBe('488');
});

it('OPTIONS tells whether calls are taken now', async () => {
  await start();
  const options = async (): Promise<string> => {
    const call = newCall();
    peer.send(request(peer, 'OPTIONS', call));
    return peer.next(new RegExp(`^SIP/2.0 [^]*Call-ID: ${call.callId}`));
  };
  const ready = await options();
  expect(statusOf(ready)).toBe('200');
  expect(headerOf(ready, 'Accept')).toContain('application/sdp');
  accepting = false;
  const busy = await options();
  expect(statusOf(busy)).toBe('503');
  expect(headerOf(busy, 'Retry-After')).toBe('5');
  expect(statusOf(await ask())).toBe('503');
  expect(reached).toEqual([]);
});

describe('a peer outside SIP_ALLOW', () => {
  it('gets 403 ten times, then one a second, whatever it asks', async () => {
    await start({ allow: '10.0.0.0/8' });
    for (const method of ['OPTIONS', 'INVITE', 'MESSAGE']) {
      const call = newCall();
      peer.send(request(peer, method, call));
      const refused = await peer.next(new RegExp(`^SIP/2.0 [2-6][^]*Call-ID: ${call.callId}`));
      expect(statusOf(refused)).toBe('403');
    }
    for (let asked = 0; asked < 20; asked += 1) peer.send(request(peer, 'OPTIONS', newCall()));
    while (turnedAway.length < 23) await new Promise((resolve) => setImmediate(resolve));
    expect(turnedAway.filter((reason) => reason === 'address')).toHaveLength(10);
    expect(turnedAway.filter((reason) => reason === 'rate')).toHaveLength(13);
    expect(reached).toEqual([]);
  });

  it('hears nothing where silence is wanted; of an INVITE only on the embedded edge', async () => {
    await start({ allow: '10.0.0.0/8', strangers: 'silent' });
    peer.send(request(peer, 'OPTIONS', newCall()));
    peer.send(invite(peer, newCall()));
    while (turnedAway.length < 2) await new Promise((resolve) => setImmediate(resolve));
    if (server.kind === 'drachtio-server') await peer.next(/^SIP\/2.0 403[^]*CSeq: 1 INVITE/);
    else expect(peer.received).toEqual([]);
    expect(reached).toEqual([]);
  });
});

const SIPP_SCENARIO = `<?xml version="1.0" encoding="UTF-8"?>
<scenario name="digest">
  ${[1, 2]
    .map(
      (cseq) => `<send${cseq === 1 ? ' retrans="500"' : ''}><![CDATA[
    INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]-[call_number]
    To: <sip:[service]@[remote_ip]:[remote_port]>
    Call-ID: [call_id]
    CSeq: ${cseq} INVITE
    Contact: <sip:sipp@[local_ip]:[local_port]>
    Max-Forwards: 70
    ${cseq === 1 ? 'Subject: unasked' : '[authentication]'}
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=- 1 1 IN IP4 [local_ip]
    s=-
    c=IN IP4 [local_ip]
    t=0 0
    m=audio 40000 RTP/AVP 8

  ]]></send>
  <recv response="100" optional="true"></recv>
  <recv response="${cseq === 1 ? '401" auth="true' : '488'}"></recv>
  <send><![CDATA[
    ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
    [last_Via:]
    [last_From:]
    [last_To:]
    Call-ID: [call_id]
    CSeq: ${cseq} ACK
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>`,
    )
    .join('\n  ')}
</scenario>
`;
