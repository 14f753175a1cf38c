import type { LiveItem } from './items.ts';

/** One thing to be sent, in the bytes of each kind of stream: made once, for all subscribers. */
export class Encoded {
  readonly type: LiveItem['type'] | 'hello' | 'reset';
  readonly #json: string;
  #event: Buffer | undefined;
  #message: Buffer | undefined;

  constructor(type: Encoded['type'], data: object) {
    this.type = type;
    this.#json = JSON.stringify(data);
  }

  /** A server-sent event, but for its id. */
  get event(): Buffer {
    return (this.#event ??= Buffer.from(`event: ${this.type}\ndata: ${this.#json}\n\n`));
  }

  /** A WebSocket message, but for its id and what is before it: `"type":…,"data":…}`. */
  get message(): Buffer {
    return (this.#message ??= Buffer.from(`"type":"${this.type}","data":${this.#json}}`));
  }
}
