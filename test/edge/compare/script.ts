import {
  type CallOfPeer,
  invite,
  newCall,
  request,
  type RequestOptions,
  type SipPeer,
  tcpPeer,
  udpPeer,
} from '../../support/sip-peer.ts';
import { type Normaliser, normaliserOf } from './normalise.ts';

/** What one peer does, written out; what it gets back is the answer that is compared. */
export interface Scenario {
  readonly id: string;
  readonly transport?: 'tcp';
  /** Whether the same message twice is part of the answer. */
  readonly counts?: 'repeats';
  /** Whether the top Via of responses is part of the answer. */
  readonly shows?: 'via';
  /** Takes 64·T1. */
  readonly lasts?: 'long';
  readonly play: (script: Script) => Promise<void>;
}

/** A server that says nothing must not hold up a script. */
const PATIENCE_MS = 1_500;
/** What comes after the last step is waited for so long. */
const QUIET_MS = 700;

/** One peer with one call, and what came back so far. */
export class Script {
  readonly peer: SipPeer;
  readonly call: CallOfPeer = newCall();
  readonly #normaliser: Normaliser;
  readonly #server: { readonly host: string; readonly port: number };
  /** Tag that the server gave to this call. */
  toTag: string | undefined;
  cseq = 1;
  #last = Buffer.alloc(0);

  constructor(peer: SipPeer, server: { host: string; port: number }, scenario: Scenario) {
    this.peer = peer;
    this.#server = server;
    this.#normaliser = normaliserOf({ peer, server, scenario });
  }

  send(message: string | Buffer): void {
    this.#last = Buffer.from(message);
    this.peer.send(message);
  }

  /** The last message once more. */
  sendAgain(): void {
    this.peer.send(this.#last);
  }

  /** An INVITE to that user of the application; `edit` changes the text that would be sent. */
  invite(user: string, options: RequestOptions & { edit?: (text: string) => string } = {}): void {
    const text = invite(this.peer, this.call, options)
      .toString('latin1')
      .replace('sip:uas@example.org SIP', `sip:${user}@example.org SIP`);
    const edited = options.edit?.(text) ?? text;
    if (edited !== '') this.send(Buffer.from(edited, 'latin1'));
  }

  /** A request with the next CSeq, in the dialog where there is one. */
  request(method: string, options: RequestOptions & { edit?: (text: string) => string } = {}): void {
    if (options.cseq === undefined) this.cseq += 1;
    const toTag = this.toTag === undefined ? {} : { toTag: this.toTag };
    const text = request(this.peer, method, this.call, { cseq: this.cseq, ...toTag, ...options }).toString(
      'latin1',
    );
    const edited = options.edit?.(text) ?? text;
    if (edited !== '') this.send(Buffer.from(edited, 'latin1'));
  }

  /** The next message that fits; undefined where none comes. */
  async next(fits: RegExp, patienceMs = PATIENCE_MS): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => {
        resolve(undefined);
      }, patienceMs);
    });
    const found = await Promise.race([this.peer.next(fits), late]);
    clearTimeout(timer);
    if (found?.startsWith('SIP/2.0') === true) {
      this.toTag ??= /\r\nt(?:o)?:[^\r]*;tag=([^\r;]+)/i.exec(found)?.[1];
    }
    return found;
  }

  /** ACK to the final response of an INVITE: in its transaction where it was refused. */
  ack(final: string | undefined, options: RequestOptions = {}): void {
    if (final === undefined) return;
    const isAccepted = /^SIP\/2.0 2/.test(final);
    const toTag = /\r\nTo:[^\r]*;tag=([^\r;]+)/i.exec(final)?.[1];
    const branch = /\r\nVia:[^\r]*;branch=([^\r;]+)/i.exec(final)?.[1];
    const cseq = Number(/\r\nCSeq: *(\d+)/i.exec(final)?.[1]);
    this.peer.send(
      request(this.peer, 'ACK', this.call, {
        cseq,
        ...(toTag === undefined ? {} : { toTag }),
        ...(isAccepted || branch === undefined ? {} : { branch }),
        ...options,
      }),
    );
  }

  /** A call that stands. */
  async establish(
    user = 'ok',
    options: RequestOptions & { edit?: (text: string) => string } = {},
  ): Promise<void> {
    this.invite(user, options);
    this.ack(await this.next(/^SIP\/2.0 [2-6]/));
    // The application's listeners come a turn after its 200, and over another connection.
    await this.wait(100);
  }

  /** Answers a request of the server. */
  reply(asked: string | undefined, statusLine: string, headers: readonly string[] = [], body = ''): void {
    if (asked === undefined) return;
    const copied = asked
      .split('\r\n')
      .filter((line) => /^(via|from|to|call-id|cseq|record-route):/i.test(line));
    const lines = [`SIP/2.0 ${statusLine}`, ...copied, ...headers, `Content-Length: ${body.length}`];
    this.peer.send(`${lines.join('\r\n')}\r\n\r\n${body}`);
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** Another peer of the same server that speaks for the same call. */
  async beside(): Promise<SipPeer> {
    return udpPeer(this.#server);
  }

  answer(): string[] {
    return this.#normaliser(this.peer.received);
  }
}

export async function play(
  scenario: Scenario,
  server: Readonly<Record<'udp' | 'tcp', { readonly host: string; readonly port: number }>>,
): Promise<readonly string[]> {
  const address = server[scenario.transport ?? 'udp'];
  const stream = { isClosed: false };
  let peer: SipPeer;
  if (scenario.transport === 'tcp') {
    const opened = await tcpPeer(address);
    opened.socket.on('error', () => undefined);
    opened.socket.on('close', () => (stream.isClosed = true));
    peer = opened;
  } else peer = await udpPeer(address);
  const script = new Script(peer, address, scenario);
  await scenario.play(script);
  await script.wait(QUIET_MS);
  const answer = [...script.answer(), ...(stream.isClosed ? ['closed'] : [])];
  await peer.close();
  return answer;
}
