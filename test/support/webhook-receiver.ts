import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

import { Webhook } from 'standardwebhooks';

/** A request as it came. */
export interface ReceivedWebhook {
  readonly path: string;
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  /** As sent, for the signature. */
  readonly text: string;
  readonly body: {
    readonly type: string;
    readonly timestamp: string;
    readonly data: Readonly<Record<string, unknown>>;
  };
}

/** What a test has the receiver do with a request; `undefined` leaves it without an answer. */
export type Answer =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | ((response: ServerResponse) => void)
  | undefined;

/** A CRM's side of webhooks: keeps what came, and answers as it is told. */
export class WebhookReceiver implements AsyncDisposable {
  readonly received: ReceivedWebhook[] = [];
  /** Requests that have no answer yet; the most there were at a time. */
  underWay = 0;
  underWayMost = 0;
  answer: (request: ReceivedWebhook) => Answer | Promise<Answer> = () => ({ status: 204 });
  readonly #server = createServer((request, response) => void this.#take(request, response));
  #watchers: (() => void)[] = [];

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver();
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hooks`;
  }

  /** Resolves when it is so; looked at after each request. The test's own time-out bounds it. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  /** What a CRM does first. @throws when the signature is not of this secret or the body was changed */
  static verify(secret: string, { text, headers }: ReceivedWebhook): void {
    new Webhook(secret).verify(text, headers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk as string;
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    const webhook: ReceivedWebhook = {
      path: request.url ?? '',
      id: headers['webhook-id'] ?? '',
      headers,
      text,
      body: JSON.parse(text) as ReceivedWebhook['body'],
    };
    this.received.push(webhook);
    this.underWay += 1;
    this.underWayMost = Math.max(this.underWay, this.underWayMost);
    this.#tell();
    response.on('close', () => {
      this.underWay -= 1;
      this.#tell();
    });
    const answer = await this.answer(webhook);
    if (answer === undefined) return;
    if (typeof answer === 'function') answer(response);
    else response.writeHead(answer.status, answer.headers).end(answer.body);
  }

  #tell(): void {
    for (const tell of this.#watchers.splice(0)) tell();
  }
}
