import { expect, it } from 'vitest';

import { completedCalls, startTestService, type TestService } from '../support/service.ts';
import { headerOf, invite, newCall, request, tagOf, tlsPeer, udpPeer } from '../support/sip-peer.ts';
import { SERVER_FILES } from '../support/tls-files.ts';

async function metric(test: TestService, name: string): Promise<number> {
  const text = await (await fetch(`${test.service.httpUrl}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1] ?? 0);
}

it('a call over TLS, to a sips: address, through the whole service', async () => {
  await using test = await startTestService({
    queue: 'postgres',
    env: {
      DRACHTIO_HOST: '',
      SIP_LISTEN: 'tls:127.0.0.1:0',
      SIP_TLS_CERT: SERVER_FILES.certFile,
      SIP_TLS_KEY: SERVER_FILES.keyFile,
    },
  });
  const [address] = test.service.sipAddresses;
  await using peer = await tlsPeer(address!);
  const call = newCall();
  peer.send(invite(peer, call).toString().replace('INVITE sip:', 'INVITE sips:'));
  const ok = await peer.next(/^SIP\/2.0 200/);
  expect(headerOf(ok, 'Contact')).toBe(`<sips:callscribe@127.0.0.1:${address!.port}>`);
  peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
  peer.send(request(peer, 'BYE', call, { toTag: tagOf(ok), cseq: 2 }));
  await peer.next(/^SIP\/2.0 200 OK[^]*BYE/);
  expect(await completedCalls(test.pool, 1)).toMatchObject([{ sipCallId: call.callId, endReason: 'bye' }]);
  expect(await metric(test, 'callscribe_sip_connections')).toBe(1);
});

it('a stranger is counted by reason, and is in no table', async () => {
  await using test = await startTestService({
    queue: 'postgres',
    env: { DRACHTIO_HOST: '', SIP_ALLOW: '192.0.2.0/24', SIP_DIGEST_USERS: 'a:b' },
  });
  const target = new URL(test.target('udp').replace('sip:', 'http://'));
  await using peer = await udpPeer({ host: target.hostname, port: Number(target.port) });
  for (let asked = 0; asked < 15; asked += 1) peer.send(invite(peer, newCall()));
  await peer.next(/^SIP\/2.0 403/);
  const counted = async (reason: string): Promise<number> =>
    metric(test, `callscribe_sip_turned_away_total{reason="${reason}"}`);
  while ((await counted('address')) + (await counted('rate')) < 15) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await counted('address')).toBeGreaterThanOrEqual(10);
  expect(await metric(test, 'callscribe_sip_refused_peers_total')).toBe(15);
  expect(await metric(test, 'callscribe_sip_transactions')).toBe(0);
  const { rows } = await test.pool.query('select count(*)::int as calls from calls');
  expect(rows).toEqual([{ calls: 0 }]);
});
