import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import type { AppClient } from '../../src/edge/app-client.ts';
import { AppServer } from '../../src/edge/app-server.ts';
import { encodeFrame } from '../../src/edge/wire-frame.ts';
import { silentLogger } from '../../src/log.ts';
import { until } from './app.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** A drachtio client that asks for requests of these methods, and is heard. */
async function connectClient(server: AppServer, port: number, methods: readonly string[]): Promise<Socket> {
  const before = server.clients;
  const socket = connect({ host: '127.0.0.1', port });
  sockets.push(socket);
  await once(socket, 'connect');
  socket.write(encodeFrame(Buffer.from('1|authenticate|secret|')));
  for (const [no, method] of methods.entries()) {
    socket.write(encodeFrame(Buffer.from(`${no + 2}|route|${method}`)));
  }
  let answers = 0;
  socket.on('data', (chunk: Buffer) => (answers += chunk.toString().split('|OK').length - 1));
  await until(() => server.clients > before && answers === methods.length + 1);
  return socket;
}

function newServer(): AppServer {
  return new AppServer({
    secret: 'secret',
    hostports: () => 'udp/127.0.0.1:5060',
    onSip: () => undefined,
    onGone: () => undefined,
    logger: silentLogger,
  });
}

describe('requests of the network', () => {
  it('go to the applications in turn, method by method', async () => {
    const server = newServer();
    const port = await server.listen('127.0.0.1', 0);
    await connectClient(server, port, ['invite', 'options']);
    await connectClient(server, port, ['invite', 'options']);
    const invites: (AppClient | undefined)[] = [];
    const options: (AppClient | undefined)[] = [];
    for (let times = 0; times < 4; times += 1) {
      invites.push(server.pick('INVITE'));
      options.push(server.pick('OPTIONS'));
    }
    for (const picked of [invites, options]) {
      expect(new Set(picked).size).toBe(2);
      expect(picked.slice(2)).toEqual(picked.slice(0, 2));
    }
    await server.close();
  });

  it('go to those only that asked for the method, and are still there', async () => {
    const server = newServer();
    const port = await server.listen('127.0.0.1', 0);
    const first = await connectClient(server, port, ['invite']);
    await connectClient(server, port, ['options']);
    expect(server.pick('INFO')).toBeUndefined();
    const client = server.pick('INVITE');
    expect(client).toBeDefined();
    expect(server.pick('INVITE')).toBe(client);
    first.destroy();
    await until(() => server.clients === 1);
    expect(server.pick('INVITE')).toBeUndefined();
    await server.close();
  });
});

it('an address in use is named, with the way out', async () => {
  const server = newServer();
  const port = await server.listen('127.0.0.1', 0);
  const error: unknown = await newServer()
    .listen('127.0.0.1', port)
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'ADDRESS_IN_USE' });
  expect(String(error)).toContain(`127.0.0.1:${port}`);
  await server.close();
});
