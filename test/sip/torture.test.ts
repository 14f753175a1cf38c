import { afterEach, beforeEach, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { SipListener } from '../../src/sip/listener.ts';
import { newCall, request, type SipPeer, udpPeer } from '../support/sip-peer.ts';
import { startSipServer, type TestSipServer } from '../support/sip-server.ts';
import { TORTURE } from './torture-messages.ts';

let server: TestSipServer;
let listener: SipListener;
let peer: SipPeer;
const failures: unknown[] = [];
const note = (failure: unknown): void => void failures.push(failure);
beforeEach(async () => {
  // A server for each: several of the messages share a branch, and so would be one transaction.
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
  server = await startSipServer();
  listener = await SipListener.connect({
    server,
    peers: { admit: () => 'serve' },
    gate: { takeCall: () => true, authenticate: () => ({ kind: 'pass' }) },
    // Every call that is understood is refused here, which tells it from all others.
    onInvite: () => Promise.resolve({ kind: 'refuse', status: 488 }),
    isAccepting: () => true,
    onInviteAnswered: () => undefined,
    onProbe: () => undefined,
    onEdgeLost: () => undefined,
    quietLimitMs: 3_600_000,
    logger: silentLogger,
  });
  peer = await udpPeer(server.sip.udp);
});
afterEach(async () => {
  await peer.close();
  listener.close();
  await server[Symbol.asyncDispose]();
  process.off('uncaughtException', note);
  process.off('unhandledRejection', note);
});

const callIdOf = (text: string): string | undefined => /\r\n(?:call-id|i)[ \t]*:[ \t]*(\S+)/i.exec(text)?.[1];

it.each(TORTURE)('$id, $title: $answer ($rfc)', async ({ id, bytes, answer, why }) => {
  const before = peer.received.length;
  peer.send(bytes);
  // What is sent on the same socket afterwards is answered afterwards, and shows that the server still works.
  const probe = newCall();
  await new Promise((resolve) => setTimeout(resolve, 30));
  peer.send(request(peer, 'OPTIONS', probe));
  await peer.next(new RegExp(`^SIP/2.0 200 [^]*Call-ID: ${probe.callId}`));
  const finals = peer.received
    .slice(before)
    .filter((text) => callIdOf(text) === callIdOf(bytes.toString('latin1')))
    .map((text) => Number(/^SIP\/2.0 (\d+)/.exec(text)?.[1]))
    .filter((status) => status >= 200);
  // A final response to an INVITE is repeated, since nobody acknowledges it.
  expect([...new Set(finals)], `${id}${why === undefined ? '' : ` (${why})`}`).toEqual(
    answer === 'none' ? [] : [answer],
  );
  expect(failures).toEqual([]);
});

it('all 49 messages of RFC 4475 are here', () => {
  expect(new Set(TORTURE.map(({ id }) => id)).size).toBe(49);
});
