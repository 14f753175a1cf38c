import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, isIPv6, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';

/** A SIP peer made of nothing but a socket: what it sends is written out in the test, what it gets is text. */
export interface SipPeer extends AsyncDisposable {
  readonly protocol: 'UDP' | 'TCP' | 'TLS';
  readonly host: string;
  readonly port: number;
  /** `host:port` as it stands in a Via or Contact. */
  readonly hostport: string;
  send(text: string | Buffer): void;
  /** The next message that fits, among those received already and those to come. */
  next(fits: RegExp): Promise<string>;
  /** Everything received so far, in order, taken or not. */
  readonly received: readonly string[];
  close(): Promise<void>;
}

class Inbox {
  readonly received: string[] = [];
  #waiting: string[] = [];
  #readers: { fits: RegExp; take: (text: string) => void }[] = [];

  put(text: string): void {
    this.received.push(text);
    const reader = this.#readers.find(({ fits }) => fits.test(text));
    if (reader === undefined) {
      this.#waiting.push(text);
      return;
    }
    this.#readers = this.#readers.filter((other) => other !== reader);
    reader.take(text);
  }

  next(fits: RegExp): Promise<string> {
    const found = this.#waiting.find((text) => fits.test(text));
    if (found !== undefined) {
      this.#waiting = this.#waiting.filter((text) => text !== found);
      return Promise.resolve(found);
    }
    return new Promise((take) => this.#readers.push({ fits, take }));
  }
}

export async function udpPeer(to: { host: string; port: number }): Promise<SipPeer> {
  const host = isIPv6(to.host) ? '::1' : '127.0.0.1';
  const socket: UdpSocket = createSocket(isIPv6(to.host) ? 'udp6' : 'udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  const inbox = new Inbox();
  socket.on('message', (datagram) => {
    // A report on media that some offer named at random: RTP and RTCP begin with version 2.
    if (datagram[0]! >> 6 === 2) return;
    inbox.put(datagram.toString('utf8'));
  });
  const { port } = socket.address();
  const close = async (): Promise<void> => {
    socket.close();
    await once(socket, 'close');
  };
  return {
    protocol: 'UDP',
    host,
    port,
    hostport: isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`,
    send: (text) => {
      socket.send(text, to.port, to.host);
    },
    next: (fits) => inbox.next(fits),
    received: inbox.received,
    close,
    [Symbol.asyncDispose]: close,
  };
}

export async function tcpPeer(to: { host: string; port: number }): Promise<SipPeer & { socket: Socket }> {
  const socket = connect({ host: to.host, port: to.port, noDelay: true });
  await once(socket, 'connect');
  return streamPeer('TCP', socket);
}

/** With the certificate of its own that `options` holds, or with none. Takes whatever certificate the server shows. */
export async function tlsPeer(
  to: { host: string; port: number },
  options: Pick<ConnectionOptions, 'cert' | 'key' | 'minVersion' | 'maxVersion'> = {},
): Promise<SipPeer & { socket: TLSSocket }> {
  const socket = connectTls({ ...options, host: to.host, port: to.port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  // With TLS 1.3 a server refuses a certificate after the client believes to be connected.
  socket.on('error', () => undefined);
  return { ...streamPeer('TLS', socket), socket };
}

function streamPeer(protocol: 'TCP' | 'TLS', socket: Socket): SipPeer & { socket: Socket } {
  const inbox = new Inbox();
  let pending = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const end = pending.indexOf('\r\n\r\n');
      if (end < 0) {
        if (pending.equals(Buffer.from('\r\n'))) {
          inbox.put('\r\n');
          pending = Buffer.alloc(0);
        }
        return;
      }
      const length = Number(/\r\nContent-Length: (\d+)/i.exec(pending.toString('latin1', 0, end))?.[1] ?? 0);
      if (pending.length < end + 4 + length) return;
      inbox.put(pending.toString('utf8', 0, end + 4 + length));
      pending = pending.subarray(end + 4 + length);
    }
  });
  const close = async (): Promise<void> => {
    if (socket.closed) return;
    socket.destroy();
    await once(socket, 'close');
  };
  const host = socket.localAddress!;
  const port = socket.localPort!;
  return {
    protocol,
    socket,
    host,
    port,
    hostport: isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`,
    send: (text) => {
      socket.write(text);
    },
    next: (fits) => inbox.next(fits),
    received: inbox.received,
    close,
    [Symbol.asyncDispose]: close,
  };
}

let serial = 0;
export const unique = (): string => `${process.pid.toString(36)}${(serial += 1).toString(36)}`;

export interface CallOfPeer {
  readonly callId: string;
  readonly fromTag: string;
  readonly branch: string;
}

export const newCall = (): CallOfPeer => ({
  callId: `call-${unique()}`,
  fromTag: `from-${unique()}`,
  branch: `z9hG4bK-${unique()}`,
});

export const OFFER =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n';

export interface RequestOptions {
  readonly cseq?: number;
  readonly toTag?: string;
  readonly branch?: string;
  readonly headers?: readonly string[];
  readonly body?: string | Buffer;
  readonly contentType?: string;
  readonly cseqMethod?: string;
}

/** A request as text, Content-Length in bytes. */
export function request(
  peer: SipPeer,
  method: string,
  call: CallOfPeer,
  options: RequestOptions = {},
): Buffer {
  const body = Buffer.from(options.body ?? '');
  const to = options.toTag === undefined ? '' : `;tag=${options.toTag}`;
  const head = [
    `${method} sip:uas@example.org SIP/2.0`,
    `Via: SIP/2.0/${peer.protocol} ${peer.hostport};branch=${options.branch ?? `z9hG4bK-${unique()}`};rport`,
    'Max-Forwards: 70',
    `From: "Peer" <sip:peer@example.org>;tag=${call.fromTag}`,
    `To: <sip:uas@example.org>${to}`,
    `Call-ID: ${call.callId}`,
    `CSeq: ${options.cseq ?? 1} ${options.cseqMethod ?? method}`,
    `Contact: <sip:peer@${peer.hostport}${peer.protocol === 'UDP' ? '' : `;transport=${peer.protocol.toLowerCase()}`}>`,
    ...(options.headers ?? []),
    ...(body.length === 0 ? [] : [`Content-Type: ${options.contentType ?? 'application/sdp'}`]),
    `Content-Length: ${body.length}`,
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
}

export const invite = (peer: SipPeer, call: CallOfPeer, options: RequestOptions = {}): Buffer =>
  request(peer, 'INVITE', call, { branch: call.branch, body: OFFER, ...options });

/** A response to a request that the peer received. */
export function respond(to: string, status: string, extra: readonly string[] = []): string {
  const lines = to.split('\r\n');
  const copied = lines.filter((line) => /^(?:Via|From|To|Call-ID|CSeq):/i.test(line));
  return `${[`SIP/2.0 ${status}`, ...copied, ...extra, 'Content-Length: 0'].join('\r\n')}\r\n\r\n`;
}

export const tagOf = (message: string): string => /^To:.*;tag=([^;\s]+)/im.exec(message)?.[1] ?? '';
export const headerOf = (message: string, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, 'im').exec(message)?.[1]?.trim();
