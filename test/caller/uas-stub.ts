import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { createServer, type Socket as TcpSocket } from 'node:net';

/** A request as its bytes came, and the means to answer it in bytes: nothing here knows the code under test. */
export interface StubRequest {
  readonly method: string;
  readonly text: string;
  header(name: string): string;
  readonly body: string;
  /** Sends a response with the request's own Via, From, Call-ID and CSeq, and a tag on To. */
  reply(status: string, options?: { headers?: readonly string[]; body?: string }): void;
}

/** An RTP packet as it arrived at a leg of the stub. */
export interface StubPacket {
  readonly legNo: number;
  readonly bytes: Buffer;
}

/** A SIP peer on the loopback address, made of a socket and regular expressions. */
export class UasStub implements AsyncDisposable {
  readonly requests: StubRequest[] = [];
  readonly packets: StubPacket[] = [];
  readonly port: number;
  readonly #arrived = new EventEmitter<{ request: [StubRequest] }>();
  readonly #close: () => Promise<void>;
  readonly #mediaSockets: UdpSocket[] = [];
  /** Sends bytes to whoever sent the last request. */
  send: (text: string) => void = () => undefined;
  onRequest: (request: StubRequest) => void = () => undefined;

  static async open(protocol: 'udp' | 'tcp' = 'udp'): Promise<UasStub> {
    return protocol === 'udp' ? UasStub.#openUdp() : UasStub.#openTcp();
  }

  static async #openUdp(): Promise<UasStub> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const stub = new UasStub(socket.address().port, async () => {
      socket.close();
      await once(socket, 'close');
    });
    socket.on('message', (bytes, from) => {
      stub.#receive(bytes.toString('utf8'), (text) => {
        socket.send(text, from.port, from.address);
      });
    });
    return stub;
  }

  static async #openTcp(): Promise<UasStub> {
    const connections = new Set<TcpSocket>();
    const server = createServer((connection) => {
      connections.add(connection);
      let pending = Buffer.alloc(0);
      connection.on('error', () => undefined);
      connection.on('data', (chunk) => {
        pending = Buffer.concat([pending, chunk]);
        for (;;) {
          const end = pending.indexOf('\r\n\r\n');
          if (end < 0) return;
          const length = Number(/content-length: *(\d+)/i.exec(pending.toString('latin1', 0, end))?.[1] ?? 0);
          if (pending.length < end + 4 + length) return;
          stub.#receive(pending.toString('utf8', 0, end + 4 + length), (text) => connection.write(text));
          pending = pending.subarray(end + 4 + length);
        }
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const stub: UasStub = new UasStub(address.port, async () => {
      for (const connection of connections) connection.destroy();
      server.close();
      await once(server, 'close');
    });
    return stub;
  }

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port;
    this.#close = close;
  }

  #receive(text: string, send: (text: string) => void): void {
    this.send = send;
    if (text.startsWith('SIP/2.0')) {
      this.responses.push(text);
      this.#responseArrived.emit('response', text);
      return;
    }
    const header = (name: string): string => new RegExp(`^${name}: *(.*)\r$`, 'im').exec(text)?.[1] ?? '';
    const request: StubRequest = {
      method: text.slice(0, text.indexOf(' ')),
      text,
      header,
      body: text.slice(text.indexOf('\r\n\r\n') + 4),
      reply: (status, { headers = [], body = '' } = {}) => {
        const to = header('to');
        send(
          [
            `SIP/2.0 ${status}`,
            ...['via', 'from', 'call-id', 'cseq'].map((name) => `${name}: ${header(name)}`),
            `To: ${to}${to.includes('tag=') || status.startsWith('100') ? '' : ';tag=stub'}`,
            `Contact: <sip:stub@127.0.0.1:${this.port}>`,
            ...headers,
            ...(body === '' ? [] : ['Content-Type: application/sdp']),
            `Content-Length: ${Buffer.byteLength(body)}`,
            '',
            body,
          ].join('\r\n'),
        );
      },
    };
    this.requests.push(request);
    this.onRequest(request);
    this.#arrived.emit('request', request);
  }

  readonly responses: string[] = [];
  readonly #responseArrived = new EventEmitter<{ response: [string] }>();

  /** The `count`th request of a method, now or when it comes. */
  async request(method: string, count = 1): Promise<StubRequest> {
    for (;;) {
      const found = this.requests.filter((request) => request.method === method)[count - 1];
      if (found !== undefined) return found;
      await once(this.#arrived, 'request');
    }
  }

  /** The next response to a request that the stub sent. */
  async response(): Promise<string> {
    if (this.responses[0] === undefined) await once(this.#responseArrived, 'response');
    return this.responses[0]!;
  }

  /** A request of the stub in the dialog that an ACK belongs to. */
  inDialog(method: string, ack: StubRequest): string {
    const contact = /<(sip:[^>]+)>/.exec(this.requests[0]?.header('contact') ?? '')?.[1] ?? '';
    return [
      `${method} ${contact} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${this.port};branch=z9hG4bK${method}`,
      `From: ${ack.header('to')}`,
      `To: ${ack.header('from')}`,
      `Call-ID: ${ack.header('call-id')}`,
      `CSeq: 1 ${method}`,
      'Max-Forwards: 70',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n');
  }

  /** Answers the audio lines of an offer, each at a socket of its own; `refuse` names lines that get port 0. */
  async answerTo(invite: StubRequest, refuse: readonly number[] = []): Promise<string> {
    const lines = [...invite.body.matchAll(/^m=audio \d+ RTP\/AVP (.*)\r?$/gm)];
    const media: string[] = [];
    for (const [legNo, line] of lines.entries()) {
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      socket.on('message', (bytes) => this.packets.push({ legNo, bytes }));
      this.#mediaSockets.push(socket);
      const port = refuse.includes(legNo) ? 0 : socket.address().port;
      media.push(`m=audio ${port} RTP/AVP ${line[1]}`, 'a=recvonly');
    }
    return ['v=0', 'o=stub 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', ...media, ''].join(
      '\r\n',
    );
  }

  /** Takes every call and every BYE. */
  takeCalls(refuse: readonly number[] = []): void {
    this.onRequest = (request) => {
      if (request.method === 'INVITE') {
        void this.answerTo(request, refuse).then((body) => {
          request.reply('200 OK', { body });
        });
      } else if (request.method !== 'ACK') request.reply('200 OK');
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#mediaSockets) socket.close();
    await this.#close();
  }
}
