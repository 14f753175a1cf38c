import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import type { SipFlow } from '../../src/sipstack/flow.ts';
import { parseSipMessage, type SipRequest, type SipResponse } from '../../src/sipstack/message.ts';
import { reply } from '../../src/sipstack/reply.ts';
import type { ServerTransaction } from '../../src/sipstack/server-transaction.ts';
import { setSipTimers } from '../../src/sipstack/sipjs.ts';
import { Transactions } from '../../src/sipstack/transactions.ts';

beforeAll(() => {
  setSipTimers({ t1Ms: 5, t2Ms: 40, t4Ms: 50 });
});
afterAll(() => {
  setSipTimers();
});

/** A flow whose other end is an array. */
class TestFlow implements SipFlow {
  readonly remote = { host: '192.0.2.1', port: 5060 };
  readonly local = { host: '192.0.2.9', port: 5060 };
  readonly protocol: 'udp' | 'tcp';
  isOpen = true;
  readonly sent: string[] = [];

  constructor(protocol: 'udp' | 'tcp' = 'udp') {
    this.protocol = protocol;
  }

  send(message: Uint8Array): Promise<void> {
    if (!this.isOpen) return Promise.reject(new Error('closed'));
    this.sent.push(Buffer.from(message).toString());
    return Promise.resolve();
  }
}

const opened: Transactions[] = [];
afterEach(() => {
  for (const transactions of opened.splice(0)) transactions.close();
});

/** A transaction layer whose user notes what it is told, and answers what `answers` says. */
function layer(
  answers: (transaction: ServerTransaction) => number | undefined = () => undefined,
  transactionsMax?: number,
): {
  transactions: Transactions;
  requests: ServerTransaction[];
  acks: SipRequest[];
  cancels: (string | undefined)[];
} {
  const requests: ServerTransaction[] = [];
  const acks: SipRequest[] = [];
  const cancels: (string | undefined)[] = [];
  const transactions = new Transactions({
    user: {
      onRequest: (transaction) => {
        requests.push(transaction);
        const status = answers(transaction);
        if (status !== undefined) respond(transaction, status);
      },
      onAck: (ack) => acks.push(ack),
      onCancel: (_transaction, invite) => cancels.push(invite?.request.uri),
    },
    logger: silentLogger,
    ...(transactionsMax === undefined ? {} : { transactionsMax }),
  });
  opened.push(transactions);
  return { transactions, requests, acks, cancels };
}

const respond = (transaction: ServerTransaction, status: number): string =>
  transaction.respond(reply(transaction.request, { status, reason: 'x', toTag: transaction.toTag }));

const message = (
  method: string,
  options: { branch?: string; cseq?: number; cseqMethod?: string } = {},
): Buffer =>
  Buffer.from(
    [
      `${method} sip:a@192.0.2.9 SIP/2.0`,
      `Via: SIP/2.0/UDP 192.0.2.1;branch=${options.branch ?? 'z9hG4bKone'};rport`,
      'From: <sip:f@192.0.2.1>;tag=f',
      'To: <sip:t@192.0.2.9>',
      'Call-ID: c',
      `CSeq: ${options.cseq ?? 1} ${options.cseqMethod ?? method}`,
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  );

const outgoing = (method: string): SipRequest => {
  const text = message(method)
    .toString()
    .replace(/^Via.*\r\n/m, '');
  return parseSipMessage(Buffer.from(text)) as SipRequest;
};
const responseTo = (sent: string, status: number, tag = 't'): Buffer =>
  Buffer.from(
    `${[
      `SIP/2.0 ${status} x`,
      ...sent.split('\r\n').filter((line) => /^(Via|From|Call-ID|CSeq):/.test(line)),
      `To: <sip:t@192.0.2.9>;tag=${tag}`,
    ].join('\r\n')}\r\n\r\n`,
  );
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('requests from the network', () => {
  it('are handed up once, and told apart by branch, sender and method', () => {
    const { transactions, requests } = layer();
    const flow = new TestFlow();
    const other = message('OPTIONS').toString().replace('UDP 192.0.2.1', 'UDP 192.0.2.2');
    for (const bytes of [
      message('OPTIONS'),
      message('OPTIONS'),
      message('OPTIONS', { branch: 'z9hG4bKtwo' }),
      message('INFO'),
      Buffer.from(other),
    ]) {
      transactions.receive(bytes, flow);
    }
    expect(requests.map(({ request }) => request.method)).toEqual(['OPTIONS', 'OPTIONS', 'INFO', 'OPTIONS']);
    expect(transactions.counters()).toMatchObject({ repeated: 1, serverTransactions: 4 });
  });

  it('of a peer without the branch cookie are told apart by what RFC 2543 had', () => {
    const { transactions, requests } = layer();
    const flow = new TestFlow();
    for (const cseq of [1, 1, 2]) transactions.receive(message('OPTIONS', { branch: '1', cseq }), flow);
    expect(requests).toHaveLength(2);
  });

  it('beyond the bound are answered 503 and not handed up', async () => {
    const { transactions, requests } = layer(() => undefined, 2);
    const flow = new TestFlow();
    for (const branch of ['z9hG4bK1', 'z9hG4bK2', 'z9hG4bK3']) {
      transactions.receive(message('OPTIONS', { branch }), flow);
    }
    await soon();
    expect(requests).toHaveLength(2);
    expect(flow.sent.map((text) => text.slice(0, 11))).toEqual(['SIP/2.0 503']);
    expect(transactions.counters()).toMatchObject({ overflowed: 1, serverTransactions: 2 });
  });

  it('say how their answer went', async () => {
    const { transactions, requests } = layer();
    const flow = new TestFlow('tcp');
    transactions.receive(message('OPTIONS'), flow);
    transactions.receive(message('INFO'), flow);
    const [options, info] = requests;
    expect(respond(options!, 183)).toBe('forbidden');
    expect(respond(options!, 200)).toBe('sent');
    expect(respond(options!, 500)).toBe('answered');
    flow.isOpen = false;
    expect(respond(info!, 200)).toBe('flow-closed');
    // Or a peer that hangs up before each answer would fill the table for good.
    await Promise.resolve();
    expect(transactions.counters().serverTransactions).toBe(0);
  });

  it('are forgotten at once over a stream, where nothing is repeated', async () => {
    const { transactions } = layer(() => 200);
    transactions.receive(message('OPTIONS'), new TestFlow('tcp'));
    await soon();
    expect(transactions.counters().serverTransactions).toBe(0);
  });

  it('ACK to a 2xx is handed up, ACK to a refusal is not', () => {
    const { transactions, acks } = layer(({ request }) => (request.uri.includes('no') ? 486 : 200));
    const flow = new TestFlow();
    transactions.receive(message('INVITE'), flow);
    transactions.receive(message('ACK', { branch: 'z9hG4bKack' }), flow);
    expect(acks).toHaveLength(1);
    const refused = message('INVITE', { branch: 'z9hG4bKno' }).toString().replace('sip:a@', 'sip:no@');
    transactions.receive(Buffer.from(refused), flow);
    transactions.receive(message('ACK', { branch: 'z9hG4bKno' }), flow);
    expect(acks).toHaveLength(1);
  });

  it('CANCEL comes with the INVITE that it means', () => {
    const { transactions, cancels } = layer();
    const flow = new TestFlow();
    transactions.receive(message('INVITE'), flow);
    transactions.receive(message('CANCEL'), flow);
    transactions.receive(message('CANCEL', { branch: 'z9hG4bKother' }), flow);
    expect(cancels).toEqual(['sip:a@192.0.2.9', undefined]);
  });

  it('that make the user throw are counted, and end nothing else', () => {
    const { transactions, requests } = layer(({ request }) => {
      if (request.method === 'INFO') throw new Error('bug');
      return 200;
    });
    const flow = new TestFlow();
    transactions.receive(message('INFO'), flow);
    transactions.receive(message('OPTIONS'), flow);
    expect(requests).toHaveLength(2);
    expect(transactions.counters().malformed).toBe(1);
  });

  it('never throw, whatever bytes come', () => {
    const { transactions } = layer(({ request }) => (request.method === 'INVITE' ? 180 : 200));
    const flow = new TestFlow();
    const valid = fc
      .constantFrom('INVITE', 'ACK', 'CANCEL', 'BYE', 'OPTIONS')
      .map((method) => message(method));
    const mutation = fc.record({ at: fc.nat(400), remove: fc.nat(30), insert: fc.string({ maxLength: 12 }) });
    fc.assert(
      fc.property(valid, fc.array(mutation, { maxLength: 4 }), (bytes, mutations) => {
        let text = bytes.toString();
        for (const { at, remove, insert } of mutations) {
          const from = at % text.length;
          text = text.slice(0, from) + insert + text.slice(from + remove);
        }
        transactions.receive(Buffer.from(text), flow);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('own requests', () => {
  it('bring every provisional response, then one final one', () => {
    const { transactions } = layer();
    const flow = new TestFlow();
    const got: [number, string][] = [];
    const sent = transactions.request(outgoing('INVITE'), flow, (response, origin) => {
      got.push([response.status, origin]);
    });
    expect(flow.sent[0]).toMatch(/^INVITE .*\r\nVia: SIP\/2\.0\/UDP 192\.0\.2\.9:5060;rport;branch=z9hG4bK/);
    for (const status of [100, 180, 486, 486]) transactions.receive(responseTo(flow.sent[0]!, status), flow);
    expect(got).toEqual([
      [100, 'network'],
      [180, 'network'],
      [486, 'network'],
    ]);
    // The ACK to a failure is the transaction's own, repeated with it.
    expect(flow.sent.filter((text) => text.startsWith('ACK'))).toHaveLength(2);
    expect(flow.sent.at(-1)).toContain(`branch=${sent.branch}`);
  });

  it('repeat the ACK to a 2xx with that 2xx', () => {
    const { transactions } = layer();
    const flow = new TestFlow();
    const transaction = transactions.request(outgoing('INVITE'), flow, (response: SipResponse) => {
      if (response.status === 200) {
        const ack = outgoing('ACK');
        const to = { name: 'To', value: '<sip:t@192.0.2.9>;tag=t' };
        const headers = ack.headers.map((line) => (line.name === 'To' ? to : line));
        transaction.acknowledge({ ...ack, headers }, 'z9hG4bKack');
      }
    });
    for (let round = 0; round < 3; round += 1) transactions.receive(responseTo(flow.sent[0]!, 200), flow);
    expect(flow.sent.filter((text) => text.startsWith('ACK'))).toHaveLength(3);
  });

  it('are repeated over UDP until an answer comes', async () => {
    const { transactions } = layer();
    const flow = new TestFlow();
    const done = new Promise<number>((resolve) => {
      transactions.request(outgoing('OPTIONS'), flow, (response) => {
        resolve(response.status);
      });
    });
    while (flow.sent.length < 4) await soon();
    expect(new Set(flow.sent).size).toBe(1);
    transactions.receive(responseTo(flow.sent[0]!, 200), flow);
    expect(await done).toBe(200);
    const count = flow.sent.length;
    while (transactions.counters().clientTransactions > 0) await soon();
    expect(flow.sent).toHaveLength(count);
  });

  it('end with 408 when nobody answers, sent once over a stream', async () => {
    const { transactions } = layer();
    const flow = new TestFlow('tcp');
    const got = await new Promise<[number, string]>((resolve) => {
      transactions.request(outgoing('OPTIONS'), flow, (response, origin) => {
        resolve([response.status, origin]);
      });
    });
    expect(got).toEqual([408, 'local']);
    expect(flow.sent).toHaveLength(1);
  });

  it('end with 503 when they cannot be sent', async () => {
    const { transactions } = layer();
    const flow = new TestFlow('tcp');
    flow.isOpen = false;
    const got = await new Promise<[number, string]>((resolve) => {
      transactions.request(outgoing('INVITE'), flow, (response, origin) => {
        resolve([response.status, origin]);
      });
    });
    expect(got).toEqual([503, 'local']);
    expect(transactions.counters().clientTransactions).toBe(0);
  });

  it('count responses that answer nothing', () => {
    const { transactions } = layer();
    transactions.receive(responseTo(message('OPTIONS').toString(), 200), new TestFlow());
    expect(transactions.counters().strayResponses).toBe(1);
  });
});
