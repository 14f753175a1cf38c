/**
 * How messages travel: a packet is text, a head `sender no` and lines below it. A line is a mark and (a piece of) a
 * message: `=` all of it, `<` its first piece, `-` one between, `>` its last. Packets of a sender are numbered, so a
 * jump tells that something is missing. A packet may be empty: then it only tells its number.
 */

/** Head, line breaks and marks of a packet, at most. */
const HEAD_MAX_BYTES = 40;

export class Packer {
  readonly #sender: string;
  readonly #bodyMaxBytes: number;
  #no = 0;

  /** @param sender unique among all processes, up to 20 characters without blanks */
  constructor(sender: string, packetMaxBytes: number) {
    this.#sender = sender;
    this.#bodyMaxBytes = packetMaxBytes - HEAD_MAX_BYTES;
  }

  /** As few packets as hold them, in order; one empty packet where there is no message. */
  pack(messages: readonly string[]): readonly string[] {
    const packets: string[] = [];
    let lines = '';
    let bytes = 0;
    const finish = (): void => {
      packets.push(this.#head() + lines);
      lines = '';
      bytes = 0;
    };
    for (const message of messages) {
      for (const { line, lineBytes } of this.#linesOf(message)) {
        if (bytes + lineBytes > this.#bodyMaxBytes) finish();
        lines += line;
        bytes += lineBytes;
      }
    }
    if (bytes > 0 || packets.length === 0) finish();
    return packets;
  }

  /** A message will never be sent: readers are to see that one is missing. */
  leaveHole(): void {
    this.#no += 1;
  }

  #head(): string {
    this.#no += 1;
    return `${this.#sender} ${this.#no}`;
  }

  *#linesOf(message: string): Iterable<{ readonly line: string; readonly lineBytes: number }> {
    const bytes = Buffer.byteLength(message);
    if (bytes + 2 <= this.#bodyMaxBytes) {
      yield { line: `\n=${message}`, lineBytes: bytes + 2 };
      return;
    }
    const all = Buffer.from(message);
    for (let from = 0; from < all.length;) {
      const end = characterStart(all, from + this.#bodyMaxBytes - 2);
      const mark = from === 0 ? '<' : end === all.length ? '>' : '-';
      yield { line: `\n${mark}${all.toString('utf8', from, end)}`, lineBytes: end - from + 2 };
      from = end;
    }
  }
}

/** The end of the text, or the nearest start of a character at or before this place. */
function characterStart(utf8: Buffer, at: number): number {
  if (at >= utf8.length) return utf8.length;
  let start = at;
  while (((utf8[start] ?? 0) & 0xc0) === 0x80) start -= 1;
  return start;
}

export interface Unpacked {
  readonly messages: readonly string[];
  /** Packets are missing before this one, or may have come before the reader did. */
  readonly isAfterHole: boolean;
}

interface SenderState {
  no: number;
  /** Pieces of a message whose last one has not come; undefined: none begun. */
  pieces: string[] | undefined;
  pieceBytes: number;
}

/** Senders of which a reader knows; the one that was silent for longest is forgotten first. */
const SENDERS_MAX = 1_000;
const HEAD = /^([^ \n]{1,20}) ([1-9]\d{0,14})$/;

/** Reads the packets of one channel, of all senders. */
export class Unpacker {
  readonly #senders = new Map<string, SenderState>();
  readonly #messageMaxBytes: number;

  constructor(messageMaxBytes: number) {
    this.#messageMaxBytes = messageMaxBytes;
  }

  /** @returns undefined where it is no packet */
  unpack(packet: string): Unpacked | undefined {
    const [head = '', ...lines] = packet.split('\n');
    const [, sender, digits] = HEAD.exec(head) ?? [];
    if (sender === undefined || lines.some((line) => !'=<->'.includes(line.charAt(0)) || line === '')) {
      return undefined;
    }
    const no = Number(digits);
    const state = this.#stateOf(sender);
    const isAfterHole = no !== state.no + 1;
    if (isAfterHole) state.pieces = undefined;
    state.no = no;
    const messages = lines.flatMap((line) => this.#read(state, line) ?? []);
    return { messages, isAfterHole };
  }

  #stateOf(sender: string): SenderState {
    const state = this.#senders.get(sender) ?? { no: 0, pieces: undefined, pieceBytes: 0 };
    this.#senders.delete(sender);
    this.#senders.set(sender, state);
    if (this.#senders.size > SENDERS_MAX) {
      const [oldest] = this.#senders.keys();
      if (oldest !== undefined) this.#senders.delete(oldest);
    }
    return state;
  }

  #read(state: SenderState, line: string): string | undefined {
    const mark = line.charAt(0);
    const text = line.slice(1);
    if (mark === '=') return text;
    if (mark === '<') {
      state.pieces = [];
      state.pieceBytes = 0;
    }
    // The end of a message whose beginning was before we listened.
    if (state.pieces === undefined) return undefined;
    state.pieceBytes += Buffer.byteLength(text);
    if (state.pieceBytes > this.#messageMaxBytes) {
      state.pieces = undefined;
      return undefined;
    }
    state.pieces.push(text);
    if (mark !== '>') return undefined;
    const message = state.pieces.join('');
    state.pieces = undefined;
    return message;
  }
}
