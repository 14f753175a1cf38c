import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import type { Edge } from '../../src/edge/edge.ts';
import { silentLogger } from '../../src/log.ts';
import { InviteGate } from '../../src/sip/invite-gate.ts';
import { SipListener } from '../../src/sip/listener.ts';
import type { MessageCounts } from '../../src/sip/message-summary.ts';
import type { MailboxRequest } from '../../src/sip/subscribe-handler.ts';
import type { WaitingMailbox } from '../../src/sip/subscriptions.ts';
import { sipAddress, startTestEdge, until } from '../edge/app.ts';
import {
  type CallOfPeer,
  headerOf,
  newCall,
  request,
  type RequestOptions,
  respond,
  type SipPeer,
  tagOf,
  tcpPeer,
  udpPeer,
} from '../support/sip-peer.ts';

/** A mailbox whose counts the test sets. */
class TestMailbox implements WaitingMailbox {
  readonly followers = new Set<(counts: MessageCounts) => void>();
  asked = 0;
  #counts: MessageCounts = { newCount: 0, heardCount: 0 };

  set(newCount: number, heardCount: number): void {
    this.#counts = { newCount, heardCount };
    for (const tell of this.followers) tell(this.#counts);
  }

  follow(onCounts: (counts: MessageCounts) => void): { ask(): void; stop(): void } {
    this.followers.add(onCounts);
    onCounts(this.#counts);
    return {
      ask: () => {
        this.asked += 1;
      },
      stop: () => {
        this.followers.delete(onCounts);
      },
    };
  }
}

let edge: Edge;
let listener: SipListener;
let peer: SipPeer;
let mailbox: TestMailbox;
let exists: boolean;
let statuses: number[];
let outcomes: string[];
let asked: MailboxRequest[];

beforeEach(async () => {
  mailbox = new TestMailbox();
  exists = true;
  statuses = [];
  outcomes = [];
  asked = [];
  edge = await startTestEdge();
  peer = await udpPeer(sipAddress(edge, 'udp'));
});
afterEach(async () => {
  await listener.endSubscriptions();
  listener.close();
  await peer.close();
  await edge.close();
});

async function listen(
  options: {
    readonly digest?: boolean;
    readonly max?: number;
    readonly perSourceMax?: number;
    readonly minSeconds?: number;
    readonly served?: boolean;
  } = {},
): Promise<void> {
  const user = { name: 'phone', secret: 'secret' };
  listener = await SipListener.connect({
    server: edge,
    peers: { admit: () => 'serve' },
    gate: new InviteGate({
      callsPerSecond: 1_000,
      digest: options.digest === true ? { realm: 'test', users: [user], algorithms: ['MD5'] } : undefined,
      nonceKey: 'key',
      onTurnedAway: () => undefined,
      clock: systemClock,
    }),
    onInvite: () => Promise.resolve({ kind: 'refuse', status: 503 }),
    isAccepting: () => true,
    onInviteAnswered: () => undefined,
    onProbe: () => undefined,
    onEdgeLost: () => undefined,
    quietLimitMs: 60_000,
    logger: silentLogger,
    subscriptions:
      options.served === false
        ? undefined
        : {
            findMailbox: (request) => {
              asked.push(request);
              return exists && request.requestUri === 'sip:uas@example.org' ? mailbox : undefined;
            },
            max: options.max ?? 100,
            perSourceMax: options.perSourceMax ?? 100,
            onAnswered: (status) => statuses.push(status),
            onNotify: (outcome) => outcomes.push(outcome),
            seconds: { min: options.minSeconds ?? 60, max: 3_600 },
            pace: { apartMs: 20, patienceMs: 20, retryMs: 20 },
            clock: systemClock,
          },
  });
}

/** Sends it; resolves with the final response. */
async function subscribe(call: CallOfPeer, options: RequestOptions = {}, via = peer): Promise<string> {
  const headers = ['Event: message-summary', ...(options.headers ?? ['Expires: 600'])];
  const text = request(via, 'SUBSCRIBE', call, { ...options, headers }).toString();
  // Within the dialog it goes to our Contact, which names no mailbox.
  via.send(options.toTag === undefined ? text : text.replace('sip:uas@example.org SIP', 'sip:us@here SIP'));
  return via.next(new RegExp(`^SIP/2\\.0 \\d+ .*CSeq: ${options.cseq ?? 1} SUBSCRIBE`, 's'));
}

/** Takes the next NOTIFY whose body fits, and answers it. */
async function notified(fits: RegExp, status = '200 OK', via = peer): Promise<string> {
  const notify = await via.next(new RegExp(`^NOTIFY .*${fits.source}`, 's'));
  via.send(respond(notify, status));
  return notify;
}

describe('a phone that subscribes to its mailbox', () => {
  it('is notified at once, at each change, and for the last time when it unsubscribes', async () => {
    await listen();
    mailbox.set(2, 1);
    const call = newCall();
    const accepted = await subscribe(call);
    expect(accepted).toMatch(/^SIP\/2\.0 200 OK/);
    expect(headerOf(accepted, 'Expires')).toBe('600');
    expect(headerOf(accepted, 'Contact')).toMatch(/^<sip:callscribe@127\.0\.0\.1:\d+>$/);
    expect(asked[0]).toMatchObject({ requestUri: 'sip:uas@example.org', peerAddress: '127.0.0.1' });

    const first = await notified(/Voice-Message: 2\/1/);
    expect(headerOf(first, 'Event')).toBe('message-summary');
    expect(headerOf(first, 'Subscription-State')).toBe('active;expires=600');
    expect(headerOf(first, 'Content-Type')).toBe('application/simple-message-summary');
    expect(first).toMatch(
      /\r\n\r\nMessages-Waiting: yes\r\nMessage-Account: sip:uas@example\.org\r\nVoice-Message: 2\/1 \(0\/0\)\r\n$/,
    );
    mailbox.set(0, 3);
    expect(await notified(/Voice-Message: 0\/3/)).toContain('Messages-Waiting: no');

    const toTag = tagOf(accepted);
    const ended = await subscribe(call, { cseq: 2, toTag, headers: ['Expires: 0'] });
    expect(headerOf(ended, 'Expires')).toBe('0');
    const last = await notified(/terminated/);
    expect(headerOf(last, 'Subscription-State')).toBe('terminated;reason=timeout');
    await until(() => listener.subscriptionCount === 0 && edge.counters().dialogs === 0);
    expect(mailbox.followers.size).toBe(0);
    expect(statuses).toEqual([200, 200]);
    expect(outcomes).toEqual(['taken', 'taken', 'taken']);
    expect(await subscribe(call, { cseq: 3, toTag })).toMatch(/^SIP\/2\.0 481 /);
  });

  it('gets the counts once more with each refresh, and makes sure of them', async () => {
    await listen();
    const call = newCall();
    const toTag = tagOf(await subscribe(call));
    await notified(/Voice-Message: 0\/0/);
    expect(await subscribe(call, { cseq: 2, toTag })).toMatch(/^SIP\/2\.0 200 /);
    await notified(/Voice-Message: 0\/0/);
    expect(mailbox.asked).toBe(1);
    expect(listener.subscriptionCount).toBe(1);
  });

  it('over TCP, too', async () => {
    await listen();
    await using phone = await tcpPeer(sipAddress(edge, 'tcp'));
    const accepted = await subscribe(newCall(), {}, phone);
    expect(headerOf(accepted, 'Contact')).toContain(';transport=tcp');
    await notified(/Voice-Message: 0\/0/, '200 OK', phone);
    await until(() => outcomes.length === 1);
  });

  it('may ask once, without a subscription', async () => {
    await listen();
    mailbox.set(1, 0);
    await subscribe(newCall(), { headers: ['Expires: 0'] });
    expect(await notified(/Voice-Message: 1\/0/)).toContain('terminated;reason=timeout');
    await until(() => listener.subscriptionCount === 0);
  });

  it('is told when its time is up', async () => {
    await listen({ minSeconds: 1 });
    await subscribe(newCall(), { headers: ['Expires: 1'] });
    await notified(/active;expires=1/);
    await notified(/terminated;reason=timeout/);
    await until(() => listener.subscriptionCount === 0);
  });

  it('is told when the mailbox is no more, with its next refresh', async () => {
    await listen();
    const call = newCall();
    const toTag = tagOf(await subscribe(call));
    await notified(/active/);
    exists = false;
    await subscribe(call, { cseq: 2, toTag });
    await notified(/terminated;reason=noresource/);
  });

  it('is told when this process ends, after which nobody may subscribe', async () => {
    await listen();
    await subscribe(newCall());
    await notified(/active/);
    const ended = listener.endSubscriptions();
    await notified(/terminated;reason=deactivated/);
    await ended;
    expect(listener.subscriptionCount).toBe(0);
    const refused = await subscribe(newCall());
    expect(refused).toMatch(/^SIP\/2\.0 503 /);
    expect(headerOf(refused, 'Retry-After')).toBe('5');
  });

  it.each(['481 Gone', '408 Request Timeout'])('ends it by answering %s', async (status) => {
    await listen();
    await subscribe(newCall());
    await notified(/active/, status);
    await until(() => listener.subscriptionCount === 0);
    mailbox.set(9, 9);
    expect(edge.counters().dialogs).toBe(0);
  });

  it('that does not take it now is notified again', async () => {
    await listen();
    await subscribe(newCall());
    await notified(/active/, '500 Later');
    await notified(/active/);
    await until(() => outcomes.length === 2);
    expect(outcomes).toEqual(['failed', 'taken']);
  });
});

describe('a SUBSCRIBE is refused', () => {
  it('for another package, telling which there is', async () => {
    await listen();
    peer.send(request(peer, 'SUBSCRIBE', newCall(), { headers: ['Event: presence', 'Expires: 600'] }));
    const refused = await peer.next(/^SIP/);
    expect(refused).toMatch(/^SIP\/2\.0 489 Bad Event/);
    expect(headerOf(refused, 'Allow-Events')).toBe('message-summary');
    expect(edge.counters().dialogs).toBe(0);
  });

  it('for too short a time, telling the shortest', async () => {
    await listen();
    const refused = await subscribe(newCall(), { headers: ['Expires: 10'] });
    expect(refused).toMatch(/^SIP\/2\.0 423 /);
    expect(headerOf(refused, 'Min-Expires')).toBe('60');
  });

  it('where there is no such mailbox', async () => {
    await listen();
    exists = false;
    expect(await subscribe(newCall())).toMatch(/^SIP\/2\.0 404 /);
  });

  it('without credentials where they are asked for, also of who names no mailbox', async () => {
    await listen({ digest: true });
    exists = false;
    const refused = await subscribe(newCall());
    expect(refused).toMatch(/^SIP\/2\.0 401 /);
    expect(headerOf(refused, 'WWW-Authenticate')).toMatch(/^Digest realm="test"/);
  });

  it.each([
    ['in all', { max: 2 }],
    ['from one address', { perSourceMax: 2 }],
  ])('where there are too many %s; who unsubscribes makes room', async (_, limits) => {
    await listen(limits);
    const call = newCall();
    const toTag = tagOf(await subscribe(call));
    await subscribe(newCall());
    const refused = await subscribe(newCall());
    expect(refused).toMatch(/^SIP\/2\.0 480 /);
    expect(headerOf(refused, 'Retry-After')).toBe('60');
    await subscribe(call, { cseq: 2, toTag, headers: ['Expires: 0'] });
    await notified(/active/);
    await notified(/active/);
    await notified(/terminated/);
    await until(() => listener.subscriptionCount === 1);
    expect(await subscribe(newCall())).toMatch(/^SIP\/2\.0 200 /);
  });

  it('in a dialog that is none of ours, and where it is not served at all', async () => {
    await listen({ served: false });
    expect(await subscribe(newCall(), { toTag: 'unknown' })).toMatch(/^SIP\/2\.0 481 /);
    expect(await subscribe(newCall())).toMatch(/^SIP\/2\.0 405 /);
  });
});
