import type { TestService, TestServiceOptions } from './service.ts';
import { startTestService } from './service.ts';
import {
  type CallOfPeer,
  invite,
  newCall,
  request,
  type RequestOptions,
  type SipPeer,
  tagOf,
  udpPeer,
} from './sip-peer.ts';

/** A dialog that the scripted peer has with the service. */
export interface ScriptedDialog {
  readonly call: CallOfPeer;
  /** The 200 to its INVITE. */
  readonly ok: string;
  readonly toTag: string;
}

/** The service and a peer that is a bare socket, with the few moves that every script begins and ends with. */
export interface Signalling extends AsyncDisposable {
  readonly test: TestService;
  readonly peer: SipPeer;
  /** INVITE, 200, ACK. */
  answered(options?: RequestOptions & { readonly ack?: RequestOptions }): Promise<ScriptedDialog>;
  /** A request in the dialog and its final response; an INVITE is acknowledged. */
  ask(
    dialog: ScriptedDialog,
    method: string,
    cseq: number,
    options?: RequestOptions & { readonly ack?: RequestOptions },
  ): Promise<string>;
  hangUp(dialog: ScriptedDialog, cseq?: number): Promise<void>;
  final(call: CallOfPeer, cseq: number, method: string): Promise<string>;
  /** How many final responses one request got: must be one. */
  finals(call: CallOfPeer, cseq: number, method: string): number;
  /** Resolves when the row fits; the test's own time-out bounds it. */
  row<T>(sql: string, values?: unknown[]): Promise<T>;
}

export async function startSignalling(
  env: Readonly<Record<string, string>> = {},
  options: Partial<TestServiceOptions> = {},
): Promise<Signalling> {
  const test = await startTestService({ queue: 'postgres', env, ...options });
  const [host = '', port = ''] = test.target('udp').replace('sip:', '').split(':');
  const peer = await udpPeer({ host, port: Number(port) });
  await routesTaken(peer);
  const finalOf = ({ callId }: CallOfPeer, cseq: number, method: string): RegExp =>
    new RegExp(`^SIP/2.0 [2-6]\\d\\d(?=[^]*Call-ID: ${callId}\\r)(?=[^]*CSeq: ${cseq} ${method}\\r)`);
  const final: Signalling['final'] = (call, cseq, method) => peer.next(finalOf(call, cseq, method));
  return {
    test,
    peer,
    final,
    finals: (call, cseq, method) =>
      peer.received.filter((text) => finalOf(call, cseq, method).test(text)).length,
    answered: async ({ ack, ...inviteOptions } = {}) => {
      const call = newCall();
      peer.send(invite(peer, call, inviteOptions));
      const ok = await final(call, 1, 'INVITE');
      if (!ok.startsWith('SIP/2.0 200')) throw new Error(`the INVITE got ${ok.slice(0, 60)}`);
      const toTag = tagOf(ok);
      peer.send(request(peer, 'ACK', call, { toTag, ...ack }));
      return { call, ok, toTag };
    },
    ask: async ({ call, toTag }, method, cseq, { ack, ...requestOptions } = {}) => {
      const sent = request(peer, method, call, { toTag, cseq, ...requestOptions });
      peer.send(sent);
      const answer = await final(call, cseq, method);
      if (method === 'INVITE') {
        // RFC 3261 §17.1.1.3: the ACK to a failure belongs to the INVITE's transaction.
        const branch = /branch=([^;\r]+)/.exec(sent.toString())?.[1];
        const ofFailure = answer.startsWith('SIP/2.0 200') || branch === undefined ? {} : { branch };
        peer.send(request(peer, 'ACK', call, { toTag, cseq, ...ofFailure, ...ack }));
      }
      return answer;
    },
    hangUp: async ({ call, toTag }, cseq = 99) => {
      peer.send(request(peer, 'BYE', call, { toTag, cseq }));
      await final(call, cseq, 'BYE');
    },
    row: async <T>(sql: string, values: unknown[] = []): Promise<T> => {
      for (;;) {
        const { rows } = await test.pool.query<T & Record<string, unknown>>(sql, values);
        if (rows[0] !== undefined) return rows[0];
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    },
    [Symbol.asyncDispose]: async () => {
      await peer.close();
      await test[Symbol.asyncDispose]();
    },
  };
}

/** drachtio-srf registers its routes behind the connect event; until the last one is taken the edge answers 503. */
async function routesTaken(peer: SipPeer): Promise<void> {
  for (;;) {
    const probe = newCall();
    peer.send(request(peer, 'PUBLISH', probe));
    const answer = await peer.next(new RegExp(`Call-ID: ${probe.callId}`));
    if (!answer.startsWith('SIP/2.0 503')) return;
  }
}

/** A session description with these m-lines and what belongs to them. */
export const sdp = (...media: string[]): string => sdpOf(1, ...media);

/** The same in its `version`. */
export const sdpOf = (version: number, ...media: string[]): string =>
  ['v=0', `o=- 1 ${version} IN IP4 127.0.0.1`, 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', ...media, ''].join(
    '\r\n',
  );

export const mLines = (message: string): string[] => message.match(/^m=.*$/gm) ?? [];

/** Version of a description's o= line. */
export const versionOf = (message: string): number => Number(/^o=\S+ \d+ (\d+)/m.exec(message)?.[1]);
