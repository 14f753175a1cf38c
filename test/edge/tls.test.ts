import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { type Edge, startEdge } from '../../src/edge/edge.ts';
import { silentLogger } from '../../src/log.ts';
import { headerOf, invite, newCall, OFFER, request, tagOf, tlsPeer } from '../support/sip-peer.ts';
import { SERVER_FILES, tlsFile } from '../support/tls-files.ts';
import {
  ANSWER,
  connectApp,
  type Dialog,
  hangUp,
  requestIn,
  sipAddress,
  startTestEdge,
  until,
} from './app.ts';

const LISTEN = [{ protocol: 'tls', host: '127.0.0.1', port: 0 }] as const;

let edge: Edge;
let turnedAway: string[];
let protocols: string[];
let dialogs: Dialog[];
let disconnect: () => void;

async function start(options: Parameters<typeof startTestEdge>[0] = {}): Promise<void> {
  const said = turnedAway;
  edge = await startTestEdge({
    listen: LISTEN,
    tls: SERVER_FILES,
    onTurnedAway: (reason) => said.push(reason),
    ...options,
  });
  const srf = await connectApp(edge, (made) => {
    made.invite((req, res) => {
      protocols.push(req.protocol);
      void made
        .createUAS(req, res, { localSdp: ANSWER, headers: { Contact: '<sip:app@localhost;transport=tls>' } })
        .then((dialog) => dialogs.push(dialog));
    });
    made.use('options', (_req, res) => {
      res.send(200);
    });
  });
  disconnect = () => {
    srf.disconnect();
  };
}
beforeEach(() => {
  [turnedAway, protocols, dialogs] = [[], [], []];
});
afterEach(async () => {
  disconnect();
  await edge.close();
});

/** However it ends. */
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.once('close', () => {
      resolve();
    });
  });

const address = (): { host: string; port: number } => sipAddress(edge, 'tls');

it('a call over TLS: the app is told, its Contact names the TLS port, requests go both ways', async () => {
  await start();
  await using peer = await tlsPeer(address());
  expect(peer.socket.getProtocol()).toBe('TLSv1.3');
  const call = newCall();
  peer.send(invite(peer, call));
  const ok = await peer.next(/^SIP\/2.0 200/);
  expect(headerOf(ok, 'Contact')).toBe(`<sip:app@127.0.0.1:${address().port};transport=tls>`);
  expect(protocols).toEqual(['tls']);
  peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
  await until(() => dialogs.length === 1);

  const asked = requestIn(dialogs[0]!, { method: 'INFO' });
  const info = await peer.next(/^INFO /);
  expect(info).toMatch(
    /^INFO sip:peer@[^ ]*;transport=tls SIP\/2.0\r\nVia: SIP\/2.0\/TLS 127\.0\.0\.1:\d+;branch=/,
  );
  peer.send(info.replace(/^INFO [^\r]*/, 'SIP/2.0 200 OK'));
  expect((await asked).status).toBe(200);

  peer.send(request(peer, 'BYE', call, { toTag: tagOf(ok), cseq: 2 }));
  await peer.next(/^SIP\/2.0 200 OK[^]*BYE/);
  expect(edge.counters()).toMatchObject({ dialogs: 0, connections: 1 });
});

it('reaches a peer whose connection is gone at its sips: Contact, over a new connection', async () => {
  await start();
  await using phone = await startEdge({ listen: LISTEN, tls: SERVER_FILES, logger: silentLogger });
  const byes: string[] = [];
  const phoneApp = await connectApp(phone, (srf) => {
    srf.use((req, res) => {
      byes.push(req.method);
      res.send(481);
    });
    srf.use('message', (_req, res) => {
      res.send(200);
    });
  });
  const call = newCall();
  {
    await using peer = await tlsPeer(address());
    const contact = `<sips:phone@127.0.0.1:${sipAddress(phone, 'tls').port}>`;
    peer.send(
      invite(peer, call)
        .toString()
        .replace(/^Contact: .*$/m, `Contact: ${contact}`),
    );
    const ok = await peer.next(/^SIP\/2.0 200/);
    peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
    await until(() => dialogs.length === 1);
  }
  await until(() => edge.counters().connections === 0);
  // The other edge knows no such dialog: its 481 shows that the BYE arrived.
  await hangUp(dialogs[0]!);
  expect(phone.counters()).toMatchObject({ messagesReceived: 1, connections: 1 });
  phoneApp.disconnect();
});

it('refuses TLS 1.1, and what is no TLS at all; both are counted and harm nobody', async () => {
  await start();
  await expect(tlsPeer(address(), { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' })).rejects.toThrow();
  const plain = connect(address());
  plain.on('error', () => undefined);
  plain.write('OPTIONS sip:a SIP/2.0\r\n\r\n');
  await closed(plain);
  expect(turnedAway).toEqual(expect.arrayContaining(['tls']));
  await using peer = await tlsPeer(address());
  peer.send(request(peer, 'OPTIONS', newCall()));
  await peer.next(/^SIP\/2.0 200/);
});

it('gives up a handshake that is not finished in time, and its place with it', async () => {
  await start({ limits: { handshakeTimeoutMs: 20, connectionsMax: 1 } });
  const idle = connect(address());
  idle.on('error', () => undefined);
  await closed(idle);
  expect(turnedAway).toEqual(['tls']);
  await using peer = await tlsPeer(address());
  peer.send(request(peer, 'OPTIONS', newCall()));
  await peer.next(/^SIP\/2.0 200/);
});

it('counts a connection within its handshake against the bound', async () => {
  await start({ limits: { connectionsPerSourceMax: 1 } });
  const idle = connect(address());
  idle.on('error', () => undefined);
  await once(idle, 'connect');
  const second = connect(address());
  second.on('error', () => undefined);
  await closed(second);
  expect(turnedAway).toEqual(['connections']);
  idle.destroy();
});

it('does no handshake with an address that is not served', async () => {
  await start({ admit: () => 'refuse' });
  await expect(tlsPeer(address())).rejects.toThrow();
  expect(turnedAway).toEqual([]);
  expect(edge.counters()).toMatchObject({ refused: 1, connections: 0 });
});

it('asks peers for a certificate where an authority is named', async () => {
  await start({ tls: { ...SERVER_FILES, caFile: tlsFile('ca') } });
  const stranger = await tlsPeer(address()).catch(() => undefined);
  // With TLS 1.3 a client learns only afterwards that it was refused.
  if (stranger !== undefined && !stranger.socket.closed) {
    stranger.socket.on('error', () => undefined);
    stranger.socket.resume();
    await closed(stranger.socket);
  }
  expect(turnedAway).toEqual(['tls']);
  const [cert, key] = await Promise.all(['client', 'client-key'].map((name) => readFile(tlsFile(name))));
  await using peer = await tlsPeer(address(), { cert: cert!, key: key! });
  peer.send(invite(peer, newCall(), { body: OFFER }));
  await peer.next(/^SIP\/2.0 200/);
});

it('closes in the middle of a handshake', async () => {
  await start();
  const idle = connect(address());
  idle.on('error', () => undefined);
  await once(idle, 'connect');
  await edge.close();
  idle.destroy();
});
