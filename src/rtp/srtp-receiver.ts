import { ReplayWindow } from './replay-window.ts';
import { deriveSessionKeys, PROTECTED_MAX_BYTES, SrtpCipher } from './srtp-cipher.ts';
import { SRTP_TAG_BYTES, type SrtpKey, type SrtpSuite } from './srtp-key.ts';

const HEADER_BYTES = 12;
/** Sources whose indices are remembered; beyond it the first one is forgotten. */
const SOURCES_MAX = 16;
/** So many packets under new keys, and none under the old ones is taken any more. */
const RETIRE_AFTER_PACKETS = 64;

/** Why a datagram is dropped. `replayed`: it came before, or is older than the replay window. */
export type SrtpFault = 'malformed' | 'unauthenticated' | 'replayed';

/**
 * Takes the protection off what a peer sends (RFC 3711 §3.3), in place and without copying:
 *
 *     | header | payload, encrypted | MKI, if agreed | tag |
 *
 * A packet counts, for the rollover counter as for the replay window, only once it is authenticated. Each SSRC has
 * its own of both. The first packet of an SSRC is tried with the rollover counter of the keys before, with 0, and
 * with 1 (its wrap may have come before the first packet that reached us).
 *
 * After `rekey` the old keys hold until 64 packets came under the new ones, since packets under both cross the
 * answer on their way (RFC 4568 §7.1.4).
 */
export class SrtpReceiver {
  #keys: KeySet;
  #oldKeys: KeySet | undefined;

  constructor(suite: SrtpSuite, keys: readonly SrtpKey[]) {
    this.#keys = new KeySet(suite, keys);
  }

  rekey(suite: SrtpSuite, keys: readonly SrtpKey[]): void {
    this.#oldKeys = this.#keys;
    this.#keys = new KeySet(suite, keys);
  }

  /**
   * @returns the length of the packet, which now stands unprotected at the begin of the datagram; or why it is to
   *   be dropped, the datagram untouched
   */
  unprotect(datagram: Buffer): number | SrtpFault {
    const payloadBegin = findPayload(datagram);
    if (payloadBegin === undefined) return 'malformed';
    const found = this.#keys.unprotect(datagram, payloadBegin, this.#oldKeys);
    if (this.#oldKeys === undefined) return found;
    if (this.#keys.packets >= RETIRE_AFTER_PACKETS) this.#oldKeys = undefined;
    return found === 'unauthenticated' || found === 'malformed'
      ? (this.#oldKeys?.unprotect(datagram, payloadBegin) ?? found)
      : found;
  }
}

/** The keys of one description, and what was received under them. */
class KeySet {
  readonly #tagBytes: number;
  readonly #mkiBytes: number;
  readonly #ciphers: readonly { readonly mki: Buffer | undefined; readonly cipher: SrtpCipher }[];
  readonly #windows = new Map<number, ReplayWindow>();
  /** How many were authenticated. */
  packets = 0;

  constructor(suite: SrtpSuite, keys: readonly SrtpKey[]) {
    this.#tagBytes = SRTP_TAG_BYTES[suite];
    this.#mkiBytes = keys[0]?.mki?.length ?? 0;
    this.#ciphers = keys.map(({ mki, keyAndSalt }) => ({
      mki,
      cipher: new SrtpCipher(deriveSessionKeys(keyAndSalt.reveal())),
    }));
  }

  unprotect(datagram: Buffer, payloadBegin: number, before?: KeySet): number | SrtpFault {
    const tagBegin = datagram.length - this.#tagBytes;
    const end = tagBegin - this.#mkiBytes;
    if (end < payloadBegin) return 'malformed';
    const cipher = this.#cipherOf(datagram, end, tagBegin);
    if (cipher === undefined) return 'unauthenticated';

    const ssrc = datagram.readUInt32BE(8);
    const sequenceNumber = datagram.readUInt16BE(2);
    const window = this.#windows.get(ssrc);
    if (window === undefined) {
      const oldIndex = before?.windowOf(ssrc)?.estimate(sequenceNumber);
      return this.#takeFirst(datagram, payloadBegin, end, cipher, oldIndex);
    }
    const index = window.estimate(sequenceNumber);
    if (index < 0 || !window.isFresh(index)) return 'replayed';
    if (!this.#authenticates(cipher, datagram, end, index)) return 'unauthenticated';
    window.accept(index);
    this.packets++;
    cipher.transform(datagram, payloadBegin, end, index);
    return end;
  }

  windowOf(ssrc: number): ReplayWindow | undefined {
    return this.#windows.get(ssrc);
  }

  #takeFirst(
    datagram: Buffer,
    payloadBegin: number,
    end: number,
    cipher: SrtpCipher,
    oldIndex: number | undefined,
  ): number | SrtpFault {
    const sequenceNumber = datagram.readUInt16BE(2);
    const candidates = [sequenceNumber, sequenceNumber + 0x1_0000];
    if (oldIndex !== undefined && oldIndex > 0xffff) candidates.unshift(oldIndex);
    const index = candidates.find((candidate) => this.#authenticates(cipher, datagram, end, candidate));
    if (index === undefined) return 'unauthenticated';
    if (this.#windows.size === SOURCES_MAX) this.#windows.delete(this.#windows.keys().next().value!);
    const window = new ReplayWindow(index - 1);
    window.accept(index);
    this.#windows.set(datagram.readUInt32BE(8), window);
    this.packets++;
    cipher.transform(datagram, payloadBegin, end, index);
    return end;
  }

  #authenticates(cipher: SrtpCipher, datagram: Buffer, end: number, index: number): boolean {
    const rolloverCounter = Math.floor(index / 0x1_0000);
    return cipher.authenticates(
      datagram,
      end,
      datagram.length - this.#tagBytes,
      this.#tagBytes,
      rolloverCounter,
    );
  }

  #cipherOf(datagram: Buffer, mkiBegin: number, mkiEnd: number): SrtpCipher | undefined {
    if (this.#mkiBytes === 0) return this.#ciphers[0]?.cipher;
    return this.#ciphers.find(
      ({ mki }) => mki !== undefined && datagram.compare(mki, 0, mki.length, mkiBegin, mkiEnd) === 0,
    )?.cipher;
  }
}

/** Where the payload of a packet begins whose payload cannot be read yet; the header is never encrypted. */
function findPayload(datagram: Buffer): number | undefined {
  if (datagram.length < HEADER_BYTES || datagram.length > PROTECTED_MAX_BYTES) return undefined;
  const first = datagram[0]!;
  if (first >> 6 !== 2) return undefined;
  let begin = HEADER_BYTES + 4 * (first & 0x0f);
  if ((first & 0x10) !== 0) {
    if (begin + 4 > datagram.length) return undefined;
    begin += 4 + 4 * datagram.readUInt16BE(begin + 2);
  }
  return begin > datagram.length ? undefined : begin;
}
