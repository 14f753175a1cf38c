import type { AddressInfo } from 'node:net';

import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  /** As it came over the wire. */
  readonly raw: string;
  readonly mail: Email;
}

/** At which command of SMTP the server says no, and how. */
export interface Refusal {
  readonly at: 'connect' | 'mail' | 'rcpt' | 'data';
  readonly code: number;
}

/** A real SMTP server on the loopback address, which keeps what it takes. */
export class MailServer implements AsyncDisposable {
  readonly received: ReceivedMail[] = [];
  /** E-mails that it did not take. */
  refused = 0;
  /** Asked for each e-mail. */
  refusal: (recipient: string) => Refusal | undefined = () => undefined;
  #server: SMTPServer | undefined;
  #port = 0;
  readonly #options: SMTPServerOptions;
  readonly #host: string;

  private constructor(options: SMTPServerOptions, host: string) {
    this.#options = options;
    this.#host = host;
  }

  /** @param host an address of this machine */
  static async start(options: SMTPServerOptions = {}, host = '127.0.0.1'): Promise<MailServer> {
    const server = new MailServer(options, host);
    await server.up();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `smtp://${this.#host}:${this.#port}`;
  }

  /** On the port that it had before. */
  async up(): Promise<void> {
    const answer = (
      refusal: Refusal | undefined,
      at: Refusal['at'],
      callback: (error?: Error) => void,
    ): void => {
      if (refusal?.at !== at) {
        callback();
        return;
      }
      this.refused += 1;
      callback(Object.assign(new Error('no'), { responseCode: refusal.code }));
    };
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      disableReverseLookup: true,
      logger: false,
      onConnect: (_, callback) => {
        answer(this.refusal(''), 'connect', callback);
      },
      onMailFrom: (_, __, callback) => {
        answer(this.refusal(''), 'mail', callback);
      },
      onRcptTo: ({ address }, _, callback) => {
        answer(this.refusal(address), 'rcpt', callback);
      },
      onData: (stream, { envelope }, callback) => {
        const to = envelope.rcptTo.map(({ address }) => address);
        void stream.toArray().then(async (pieces: Buffer[]) => {
          const raw = Buffer.concat(pieces);
          const refusal = this.refusal(to[0] ?? '');
          if (refusal?.at !== 'data') {
            const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
            this.received.push({ from, to, raw: raw.toString('latin1'), mail: await PostalMime.parse(raw) });
          }
          answer(refusal, 'data', callback);
        });
      },
      ...this.#options,
    });
    server.on('error', () => undefined);
    await new Promise<void>((resolve) => server.listen(this.#port, this.#host, resolve));
    this.#port = (server.server.address() as AddressInfo).port;
    this.#server = server;
  }

  async down(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.#server === undefined) resolve();
      else this.#server.close(resolve);
    });
    this.#server = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down();
  }
}
