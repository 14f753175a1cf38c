import { once } from 'node:events';
import { connect } from 'node:net';

import { describe, expect, it } from 'vitest';

import { CallscribeError } from '../../src/errors.ts';
import { silentLogger } from '../../src/log.ts';
import { type EndpointLimits, openSipEndpoint } from '../../src/sipstack/endpoint.ts';
import type { SipEndpoint, SipFlow, SipProtocol } from '../../src/sipstack/flow.ts';
import { localAddressTowards } from '../../src/sipstack/local-address.ts';

interface Opened extends AsyncDisposable {
  readonly endpoint: SipEndpoint;
  /** The next message, among those received already and those to come. */
  next(): Promise<{ text: string; flow: SipFlow }>;
}

async function open(
  protocol: SipProtocol,
  host: string,
  limits: Partial<EndpointLimits> = {},
  turnedAway: string[] = [],
): Promise<Opened> {
  const waiting: { text: string; flow: SipFlow }[] = [];
  const readers: ((got: { text: string; flow: SipFlow }) => void)[] = [];
  const endpoint = await openSipEndpoint({
    listen: { protocol, host, port: 0 },
    onMessage: (bytes, flow) => {
      const got = { text: bytes.toString(), flow };
      const reader = readers.shift();
      if (reader === undefined) waiting.push(got);
      else reader(got);
    },
    onTurnedAway: (reason) => turnedAway.push(reason),
    logger: silentLogger,
    limits,
  });
  const next = (): Promise<{ text: string; flow: SipFlow }> => {
    const got = waiting.shift();
    return got === undefined ? new Promise((resolve) => readers.push(resolve)) : Promise.resolve(got);
  };
  return { endpoint, next, [Symbol.asyncDispose]: () => endpoint.close() };
}

const PING = Buffer.from('OPTIONS sip:a SIP/2.0\r\n\r\n');

describe.each([
  ['udp', '127.0.0.1'],
  ['tcp', '127.0.0.1'],
  ['udp', '::1'],
  ['tcp', '::1'],
] as const)('a %s endpoint on %s', (protocol, host) => {
  it('sends to a peer, and answers on the flow that a message came in on', async () => {
    await using a = await open(protocol, host);
    await using b = await open(protocol, host);
    const there = await a.endpoint.flowTo(b.endpoint.bound);
    await there.send(PING);
    const asked = await b.next();
    expect(asked.text).toBe(PING.toString());
    expect(asked.flow).toMatchObject({ protocol, isOpen: true, local: b.endpoint.bound });
    await asked.flow.send(Buffer.from('SIP/2.0 200 OK\r\n\r\n'));
    const answered = await a.next();
    expect(answered.text).toBe('SIP/2.0 200 OK\r\n\r\n');
    expect(answered.flow.remote).toEqual(b.endpoint.bound);
    expect(b.endpoint.counters()).toMatchObject({ received: 1, sent: 1, sendFailures: 0 });
    if (protocol === 'tcp') expect(await a.endpoint.flowTo(b.endpoint.bound)).toBe(there);
  });

  it('refuses to send once it is closed', async () => {
    await using a = await open(protocol, host);
    await using b = await open(protocol, host);
    const flow = await a.endpoint.flowTo(b.endpoint.bound);
    await a.endpoint.close();
    await a.endpoint.close();
    expect(flow.isOpen).toBe(false);
    await expect(flow.send(PING)).rejects.toMatchObject({ code: 'SIP_FLOW_CLOSED' });
  });

  it('names the address when it is taken', async () => {
    await using a = await open(protocol, host);
    const second = openSipEndpoint({
      listen: { protocol, ...a.endpoint.bound },
      onMessage: () => undefined,
      logger: silentLogger,
    });
    await expect(second).rejects.toBeInstanceOf(CallscribeError);
    await expect(second).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
  });
});

describe('on a wildcard address', () => {
  it.each([
    ['udp', '0.0.0.0', '127.0.0.1'],
    ['tcp', '0.0.0.0', '127.0.0.1'],
    ['udp', '::', '::1'],
    ['tcp', '::', '::1'],
  ] as const)('%s %s tells the address that the peer reaches', async (protocol, wildcard, host) => {
    await using wide = await open(protocol, wildcard);
    await using peer = await open(protocol, host);
    const flow = await peer.endpoint.flowTo({ host, port: wide.endpoint.bound.port });
    await Promise.all([flow.send(PING), flow.send(PING)]);
    const [first, second] = [await wide.next(), await wide.next()];
    expect(first.flow.local).toEqual({ host, port: wide.endpoint.bound.port });
    expect(second.flow.local).toEqual(first.flow.local);
  });

  it('IPv4 and IPv6 share a port', async () => {
    await using v4 = await open('udp', '0.0.0.0');
    const v6 = await openSipEndpoint({
      listen: { protocol: 'udp', host: '::', port: v4.endpoint.bound.port },
      onMessage: () => undefined,
      logger: silentLogger,
    });
    await v6.close();
  });
});

describe('a TCP endpoint', () => {
  it('takes no more connections than its bound', async () => {
    await using server = await open('tcp', '127.0.0.1', { connectionsMax: 1 });
    const { port } = server.endpoint.bound;
    const first = connect(port, '127.0.0.1');
    first.write(PING);
    await server.next();
    const second = connect(port, '127.0.0.1');
    second.on('error', () => undefined);
    await once(second, 'close');
    expect(server.endpoint.counters()).toMatchObject({ connections: 1, connectionsRefused: 1 });
    first.destroy();
  });

  it('takes no more of one source than its bound, and takes it again when one has gone', async () => {
    const turnedAway: string[] = [];
    await using server = await open('tcp', '127.0.0.1', { connectionsPerSourceMax: 1 }, turnedAway);
    const { port } = server.endpoint.bound;
    const first = connect(port, '127.0.0.1');
    first.write(PING);
    await server.next();
    const second = connect(port, '127.0.0.1');
    second.on('error', () => undefined);
    await new Promise((resolve) => second.once('close', resolve));
    expect(turnedAway).toEqual(['connections']);
    first.destroy();
    while (server.endpoint.counters().connections > 0) await new Promise((resolve) => setImmediate(resolve));
    const third = connect(port, '127.0.0.1');
    third.write(PING);
    await server.next();
    third.destroy();
  });

  it.each([
    ['a byte now and then', ['OPTIONS sip:a SIP/2.0\r\n', 'A', ':', 'b']],
    ['the body that it announced', ['OPTIONS sip:a SIP/2.0\r\nContent-Length: 10\r\n\r\n', '123']],
  ])('closes a connection whose peer does not finish its message: %s', async (_, pieces) => {
    const turnedAway: string[] = [];
    await using server = await open('tcp', '127.0.0.1', { messageTimeoutMs: 40 }, turnedAway);
    const socket = connect(server.endpoint.bound.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    // A whole message before does not count for the next one.
    socket.write(PING);
    await server.next();
    for (const piece of pieces) socket.write(piece);
    await new Promise((resolve) => socket.once('close', resolve));
    expect(turnedAway).toEqual(['unfinished']);
  });

  it('leaves a peer alone that is between messages', async () => {
    const turnedAway: string[] = [];
    await using server = await open('tcp', '127.0.0.1', { messageTimeoutMs: 20 }, turnedAway);
    const socket = connect(server.endpoint.bound.port, '127.0.0.1');
    socket.write(PING.subarray(0, 10));
    socket.write(PING.subarray(10));
    await server.next();
    await new Promise((resolve) => setTimeout(resolve, 60));
    socket.write(PING);
    await server.next();
    expect(turnedAway).toEqual([]);
    socket.destroy();
  });

  it('closes a connection on which nothing moves', async () => {
    await using server = await open('tcp', '127.0.0.1', { connectionIdleMs: 20 });
    const socket = connect(server.endpoint.bound.port, '127.0.0.1');
    socket.resume();
    await once(socket, 'close');
  });

  it('closes the connection of a peer that does not read', async () => {
    await using server = await open('tcp', '127.0.0.1', { unsentMaxBytes: 10_000 });
    const socket = connect(server.endpoint.bound.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(PING);
    const { flow } = await server.next();
    const big = Buffer.alloc(1_000_000, 'x');
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => flow.send(big)));
    expect(outcomes.some(({ status }) => status === 'rejected')).toBe(true);
    expect(flow.isOpen).toBe(false);
    socket.destroy();
  });

  it('says when nobody listens where it should connect', async () => {
    await using a = await open('tcp', '127.0.0.1');
    await using b = await open('tcp', '127.0.0.1');
    const { bound } = b.endpoint;
    await b.endpoint.close();
    await expect(a.endpoint.flowTo(bound)).rejects.toMatchObject({ code: 'SIP_FLOW_CLOSED' });
  });
});

it('localAddressTowards finds the address that the system would send from', async () => {
  expect(await localAddressTowards('127.0.0.1')).toBe('127.0.0.1');
  expect(await localAddressTowards('::1')).toBe('::1');
});
