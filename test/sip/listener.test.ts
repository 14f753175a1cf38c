import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Edge } from '../../src/edge/edge.ts';
import { silentLogger } from '../../src/log.ts';
import type { DialogUser, EstablishedDialog } from '../../src/sip/dialog-user.ts';
import { SipListener, type SipListenerOptions } from '../../src/sip/listener.ts';
import { setSipTimers } from '../../src/sipstack/sipjs.ts';
import { sipAddress, startTestEdge } from '../edge/app.ts';
import {
  headerOf,
  invite,
  newCall,
  OFFER,
  request,
  respond,
  type SipPeer,
  tagOf,
  udpPeer,
} from '../support/sip-peer.ts';

/** Our own code as it must not be: every way to answer throws, or never comes back. */
class FaultyUser implements DialogUser {
  readonly localSdp = OFFER;
  readonly awaitsAnswer: boolean = false;
  /** Packets that come between two looks. */
  flow = 0;
  looks = 0;
  #packets = 0;
  readonly told: string[] = [];
  readonly #fault: () => Promise<never>;

  constructor(fault: 'throws' | 'hangs') {
    this.#fault =
      fault === 'throws' ? () => Promise.reject(new TypeError('ours')) : () => new Promise(() => undefined);
  }

  readonly mediaEnded = false;
  get packetsReceived(): number {
    this.looks += 1;
    this.#packets += this.flow;
    return this.#packets;
  }
  answered(_dialog: EstablishedDialog): void {
    this.told.push('answered');
  }
  abandoned(): void {
    this.told.push('abandoned');
  }
  reoffered(): Promise<string> {
    return this.#fault();
  }
  offerAnew(): Promise<string> {
    return this.#fault();
  }
  acceptAnswer(): Promise<void> {
    return this.#fault();
  }
  informed(): void {
    throw new TypeError('ours');
  }
  noted(kind: string): void {
    this.told.push(kind);
  }
  ended(reason: string): void {
    this.told.push(reason);
  }
}

let edge: Edge;
let peer: SipPeer;
let listener: SipListener | undefined;
let probes: string[];

// 64·T1 is 640 ms here and 32 s in the field.
beforeAll(() => {
  setSipTimers({ t1Ms: 10, t2Ms: 40, t4Ms: 50 });
});
afterAll(() => {
  setSipTimers();
});

beforeEach(async () => {
  probes = [];
  edge = await startTestEdge();
  peer = await udpPeer(sipAddress(edge, 'udp'));
});

afterEach(async () => {
  listener?.close();
  await peer.close();
  await edge.close();
});

async function listen(
  options: Pick<SipListenerOptions, 'onInvite'> & Partial<SipListenerOptions>,
): Promise<void> {
  listener = await SipListener.connect({
    server: edge,
    peers: { admit: () => 'serve' },
    gate: { takeCall: () => true, authenticate: () => ({ kind: 'pass' }) },
    isAccepting: () => true,
    onInviteAnswered: () => undefined,
    onProbe: (found) => probes.push(found),
    onEdgeLost: () => undefined,
    quietLimitMs: 60_000,
    answerTimeoutMs: 50,
    logger: silentLogger,
    ...options,
  });
  for (;;) {
    const probe = newCall();
    peer.send(request(peer, 'PUBLISH', probe));
    if (!(await peer.next(new RegExp(`Call-ID: ${probe.callId}`))).startsWith('SIP/2.0 503')) return;
  }
}

const final = (cseq: number, method: string): Promise<string> =>
  peer.next(new RegExp(`^SIP/2.0 [2-6]\\d\\d[^]*CSeq: ${cseq} ${method}\\r`));

async function answered(user: DialogUser): Promise<{ call: ReturnType<typeof newCall>; toTag: string }> {
  await listen({ onInvite: () => Promise.resolve({ kind: 'answer', user }) });
  const call = newCall();
  peer.send(invite(peer, call));
  const toTag = tagOf(await final(1, 'INVITE'));
  peer.send(request(peer, 'ACK', call, { toTag }));
  return { call, toTag };
}

describe('where our own code fails', () => {
  it.each(['throws', 'hangs'] as const)(
    'that %s, every request of a dialog still gets one answer',
    async (fault) => {
      const user = new FaultyUser(fault);
      const { call, toTag } = await answered(user);
      const requests = [
        ['INVITE', { body: OFFER }],
        ['INVITE', {}],
        ['UPDATE', { body: OFFER }],
        ['UPDATE', {}],
        ['INFO', { body: 'Signal=1', contentType: 'application/dtmf-relay' }],
      ] as const;
      for (const [index, [method, options]] of requests.entries()) {
        const cseq = index + 2;
        peer.send(request(peer, method, call, { toTag, cseq, ...options }));
        const answer = await final(cseq, method);
        expect(answer).toMatch(/^SIP\/2.0 500 /);
        expect(headerOf(answer, 'Retry-After')).toBeDefined();
      }
      peer.send(request(peer, 'OPTIONS', call, { toTag, cseq: 8 }));
      expect(await final(8, 'OPTIONS')).toMatch(/^SIP\/2.0 200 /);
      peer.send(request(peer, 'BYE', call, { toTag, cseq: 9 }));
      expect(await final(9, 'BYE')).toMatch(/^SIP\/2.0 200 /);
      for (const [index, [method]] of requests.entries()) {
        const fits = new RegExp(`^SIP/2.0 [2-6]\\d\\d[^]*CSeq: ${index + 2} ${method}\\r`);
        const finals = new Set(peer.received.filter((text) => fits.test(text)));
        expect(finals.size).toBe(1);
      }
      expect(user.told).toEqual(['answered', 'bye']);
    },
  );

  it('that throws, an INVITE gets 500 with Retry-After', async () => {
    await listen({ onInvite: () => Promise.reject(new TypeError('ours')) });
    peer.send(invite(peer, newCall()));
    const answer = await final(1, 'INVITE');
    expect(answer).toMatch(/^SIP\/2.0 500 /);
    expect(headerOf(answer, 'Retry-After')).toBe('5');
  });

  it('that takes too long, an INVITE gets 500, and what comes of it later is given up', async () => {
    const user = new FaultyUser('throws');
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    await listen({ onInvite: () => opened.then(() => ({ kind: 'answer', user })) });
    peer.send(invite(peer, newCall()));
    expect(await final(1, 'INVITE')).toMatch(/^SIP\/2.0 500 /);
    open();
    await expect.poll(() => user.told).toEqual(['abandoned']);
  });

  it('is not even asked while no calls are taken', async () => {
    await listen({ isAccepting: () => false, onInvite: () => Promise.reject(new TypeError('ours')) });
    peer.send(invite(peer, newCall()));
    const answer = await final(1, 'INVITE');
    expect(answer).toMatch(/^SIP\/2.0 503 /);
    expect(headerOf(answer, 'Retry-After')).toBe('5');
  });
});

describe('an INVITE that is cancelled', () => {
  it('while its call is being opened gets 487, and the call is given up when it is open', async () => {
    const user = new FaultyUser('throws');
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const statuses: number[] = [];
    await listen({
      answerTimeoutMs: 5_000,
      onInvite: () => opened.then(() => ({ kind: 'answer', user })),
      onInviteAnswered: (status) => statuses.push(status),
    });
    const call = newCall();
    peer.send(invite(peer, call));
    peer.send(request(peer, 'CANCEL', call, { branch: call.branch }));
    expect(await final(1, 'CANCEL')).toMatch(/^SIP\/2.0 200 /);
    expect(await final(1, 'INVITE')).toMatch(/^SIP\/2.0 487 /);
    await expect.poll(() => statuses).toEqual([487]);
    open();
    await expect.poll(() => user.told).toEqual(['abandoned']);
    expect(edge.counters().dialogs).toBe(0);
  });
});

describe('a dialog without a sign of life', () => {
  async function quiet(): Promise<{ user: FaultyUser; call: ReturnType<typeof newCall> }> {
    const user = new FaultyUser('throws');
    await listen({ quietLimitMs: 40, onInvite: () => Promise.resolve({ kind: 'answer', user }) });
    const call = newCall();
    peer.send(invite(peer, call));
    const toTag = tagOf(await final(1, 'INVITE'));
    peer.send(request(peer, 'ACK', call, { toTag }));
    return { user, call };
  }

  it('is asked by OPTIONS, again and again, and stands while the peer knows it', async () => {
    const { user } = await quiet();
    for (const status of ['200 OK', '405 Method Not Allowed', '500 Server Error']) {
      peer.send(respond(await peer.next(/^OPTIONS /), status));
    }
    await expect.poll(() => probes.length).toBeGreaterThanOrEqual(3);
    expect(new Set(probes)).toEqual(new Set(['alive']));
    expect(user.told).toEqual(['answered']);
  });

  it('is not asked while packets come', async () => {
    const { user } = await quiet();
    // Every look finds one packet more than the last.
    user.flow = 1;
    const seen = user.looks;
    await expect.poll(() => user.looks).toBeGreaterThan(seen + 5);
    expect(probes).toEqual([]);
    user.flow = 0;
    await peer.next(/^OPTIONS /);
  });

  it.each([
    ['says that there is no such dialog', '481 Call/Transaction Does Not Exist'],
    ['does not answer at all', undefined],
  ])('is ended when the peer %s', async (_name, status) => {
    const { user } = await quiet();
    const options = await peer.next(/^OPTIONS /);
    if (status !== undefined) peer.send(respond(options, status));
    const bye = await peer.next(/^BYE /);
    expect(headerOf(bye, 'Reason')).toContain('No such dialog');
    peer.send(respond(bye, '481 Call/Transaction Does Not Exist'));
    expect(user.told).toEqual(['answered', 'dialog_lost']);
    await expect.poll(() => edge.counters().dialogs).toBe(0);
    expect(probes).toEqual(['gone']);
  });
});
