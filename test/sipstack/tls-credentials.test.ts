import { once } from 'node:events';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { openSipEndpoint } from '../../src/sipstack/endpoint.ts';
import { TlsCredentials } from '../../src/sipstack/tls-credentials.ts';
import { tlsPeer } from '../support/sip-peer.ts';
import { SERVER_FILES, tlsFile } from '../support/tls-files.ts';

let folder: string;
let files: { certFile: string; keyFile: string; caFile: undefined };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'callscribe-tls-'));
  files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem'), caFile: undefined };
  await install('server');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function install(name: string): Promise<void> {
  await copyFile(tlsFile(name), files.certFile);
  await copyFile(tlsFile(`${name}-key`), files.keyFile);
}

describe('replaced files', () => {
  it('hold for the next handshake, while standing connections go on', async () => {
    const credentials = await TlsCredentials.open({ files, logger: silentLogger });
    await using endpoint = await openSipEndpoint({
      listen: { protocol: 'tls', host: '127.0.0.1', port: 0 },
      onMessage: (_bytes, flow) => void flow.send(Buffer.from('SIP/2.0 200 OK\r\n\r\n')),
      tls: credentials,
      logger: silentLogger,
    });
    await using before = await tlsPeer(endpoint.bound);
    expect(before.socket.getPeerCertificate().subject.CN).toBe('server.test');
    expect(await credentials.refresh()).toBe('same');

    await install('other-server');
    expect(await credentials.refresh()).toBe('replaced');
    await using after = await tlsPeer(endpoint.bound);
    expect(after.socket.getPeerCertificate().subject.CN).toBe('other-server.test');
    before.send('OPTIONS sip:a SIP/2.0\r\n\r\n');
    await before.next(/^SIP\/2.0 200/);
    credentials.close();
  });

  it('are found without being asked', async () => {
    const credentials = await TlsCredentials.open({ files, checkEveryMs: 5, logger: silentLogger });
    const replaced = new Promise<void>((resolve) => {
      credentials.onReplaced(resolve);
    });
    await install('other-server');
    await replaced;
    credentials.close();
  });

  it('that cannot be used leave what was there, and say so once', async () => {
    const said: string[] = [];
    let unusable = 0;
    const credentials = await TlsCredentials.open({
      files,
      onUnusable: () => (unusable += 1),
      logger: Object.assign(Object.create(silentLogger) as typeof silentLogger, {
        error: (_fields: object, message: string) => said.push(message),
      }),
    });
    const { current } = credentials;
    // As a renewal does it that has written one of the two files.
    await copyFile(tlsFile('other-server'), files.certFile);
    expect(await credentials.refresh()).toBe('unusable');
    await rm(files.keyFile);
    expect(await credentials.refresh()).toBe('unusable');
    expect(credentials.current).toBe(current);
    expect(unusable).toBe(2);
    expect(said).toEqual(['new SIP TLS certificate cannot be used, the old one stays']);
    await install('other-server');
    expect(await credentials.refresh()).toBe('replaced');
    credentials.close();
  });
});

describe('at the start', () => {
  it.each([
    ['a certificate that is not there', { certFile: '/nonexistent' }, /^SIP_TLS_CERT: .*ENOENT/],
    ['a key that is not there', { keyFile: '/nonexistent' }, /^SIP_TLS_KEY: .*ENOENT/],
    ['an authority that is not there', { caFile: '/nonexistent' }, /^SIP_TLS_CA: .*ENOENT/],
    [
      'the key of another certificate',
      { keyFile: tlsFile('other-server-key') },
      /^SIP_TLS_CERT and SIP_TLS_KEY/,
    ],
  ])('refuses %s', async (_, wrong, message) => {
    const opened = TlsCredentials.open({ files: { ...SERVER_FILES, ...wrong }, logger: silentLogger });
    await expect(opened).rejects.toMatchObject({
      code: 'SIP_TLS_CREDENTIALS',
      message: expect.stringMatching(message),
    });
  });

  it('refuses what is no PEM, without showing it', async () => {
    await writeFile(files.keyFile, 'hunter2');
    const failure = await TlsCredentials.open({ files, logger: silentLogger }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'SIP_TLS_CREDENTIALS' });
    expect(String(failure)).not.toContain('hunter2');
  });

  it('a tls: address without a certificate is refused with the way out', async () => {
    const opened = openSipEndpoint({
      listen: { protocol: 'tls', host: '127.0.0.1', port: 0 },
      onMessage: () => undefined,
      logger: silentLogger,
    });
    await expect(opened).rejects.toMatchObject({ message: expect.stringContaining('set SIP_TLS_CERT') });
  });
});

describe('a connection that we open', () => {
  it.each([
    ['is kept without an authority', undefined, 'open'],
    ['is kept where the authority vouches for the peer', tlsFile('ca'), 'open'],
    ['is refused where it does not', tlsFile('client'), 'refused'],
  ])('%s', async (_, caFile, expected) => {
    const server = createServer({
      cert: (await TlsCredentials.open({ files: SERVER_FILES, logger: silentLogger })).current.cert,
      key: (await TlsCredentials.open({ files: SERVER_FILES, logger: silentLogger })).current.key,
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const bound = server.address() as { port: number };
    const tls = await TlsCredentials.open({ files: { ...SERVER_FILES, caFile }, logger: silentLogger });
    await using endpoint = await openSipEndpoint({
      listen: { protocol: 'tls', host: '127.0.0.1', port: 0 },
      onMessage: () => undefined,
      tls,
      logger: silentLogger,
    });
    const opened = endpoint.flowTo({ host: '127.0.0.1', port: bound.port });
    if (expected === 'open') expect((await opened).isOpen).toBe(true);
    else await expect(opened).rejects.toMatchObject({ code: 'SIP_FLOW_CLOSED' });
    server.close();
    tls.close();
  });
});
