import { CallscribeError } from '../errors.ts';

/** What a stream delivered: a whole message, or a keep-alive that asks for an answer (RFC 5626 §4.4.1). */
export type Framed = { readonly kind: 'message'; readonly bytes: Buffer } | { readonly kind: 'ping' };

const HEAD_END = Buffer.from('\r\n\r\n');
const CONTENT_LENGTH = /\r\n(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*)/gi;
const CR = 0x0d;
const LF = 0x0a;

/**
 * Cuts SIP messages out of a byte stream by Content-Length, counted in bytes (RFC 3261 §18.3). Chunk borders may fall
 * anywhere. A message without Content-Length has no body: on a stream nothing else can be meant.
 *
 * Bound: `messageMaxBytes`, head and body together. Beyond it, or where the length cannot be read, the stream has
 * lost its frame and {@link push} throws; the connection must be closed.
 */
export class StreamFramer {
  readonly #messageMaxBytes: number;
  #pending: Buffer = Buffer.alloc(0);
  /** Where the search for the end of the head goes on, so that a slow sender costs O(n) and not O(n²). */
  #searchedBytes = 0;
  #emptyLines = 0;
  /** The length of the message that is being collected, once its head is in. */
  #wantedBytes: number | undefined;

  constructor(options: { readonly messageMaxBytes: number }) {
    this.#messageMaxBytes = options.messageMaxBytes;
  }

  /** Bytes that wait for the rest of their message. */
  get pendingBytes(): number {
    return this.#pending.length;
  }

  /** @throws {CallscribeError} `SIP_MALFORMED`; what came before in the same chunk is in `delivered` */
  push(chunk: Uint8Array, deliver: (framed: Framed) => void): void {
    this.#pending = this.#pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      if (this.#wantedBytes === undefined) {
        this.#skipKeepAlives(deliver);
        this.#wantedBytes = this.#readHead();
      }
      const wanted = this.#wantedBytes;
      if (wanted === undefined || this.#pending.length < wanted) return;
      deliver({ kind: 'message', bytes: this.#take(wanted) });
      this.#wantedBytes = undefined;
    }
  }

  #take(bytes: number): Buffer {
    const taken = this.#pending.subarray(0, bytes);
    this.#pending = this.#pending.subarray(bytes);
    this.#searchedBytes = 0;
    return taken;
  }

  /** Between messages: two empty lines are a ping, a single one is padding (or somebody's pong). */
  #skipKeepAlives(deliver: (framed: Framed) => void): void {
    while (this.#pending[0] === CR && this.#pending[1] === LF) {
      this.#take(2);
      this.#emptyLines += 1;
      if (this.#emptyLines < 2) continue;
      this.#emptyLines = 0;
      deliver({ kind: 'ping' });
    }
    if (this.#pending.length > 1) this.#emptyLines = 0;
  }

  #readHead(): number | undefined {
    const end = this.#pending.indexOf(HEAD_END, Math.max(0, this.#searchedBytes - 3));
    if (end < 0) {
      if (this.#pending.length > this.#messageMaxBytes) throw this.#tooLong(this.#pending.length);
      this.#searchedBytes = this.#pending.length;
      return undefined;
    }
    const head = this.#pending.toString('latin1', 0, end);
    const [value = '0', ...others] = Array.from(head.matchAll(CONTENT_LENGTH), (found) => found[1]?.trim());
    if (!/^\d{1,9}$/.test(value) || others.some((other) => other !== value)) {
      throw new CallscribeError('SIP_MALFORMED', 'SIP stream: Content-Length is not one number');
    }
    const wanted = end + HEAD_END.length + Number(value);
    if (wanted > this.#messageMaxBytes) throw this.#tooLong(wanted);
    return wanted;
  }

  #tooLong(foundBytes: number): CallscribeError {
    return new CallscribeError(
      'SIP_MALFORMED',
      `SIP stream: message of ${foundBytes} bytes, at most ${this.#messageMaxBytes} are taken`,
    );
  }
}
