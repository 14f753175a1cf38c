import { deriveSessionKeys, SrtpCipher } from './srtp-cipher.ts';
import { SRTP_TAG_BYTES, type SrtpKey, type SrtpSuite } from './srtp-key.ts';

const HEADER_BYTES = 12;
const NO_MKI = Buffer.alloc(0);

/**
 * Protects the RTP packets that we send (RFC 3711 §3.3): without CSRC list or extension, and in the order of their
 * sequence numbers.
 */
export class SrtpSender {
  #cipher!: SrtpCipher;
  #tagBytes!: number;
  #mki: Buffer = NO_MKI;
  #ssrc: number | undefined;
  #sequenceNumber = 0;
  #rolloverCounter = 0;

  constructor(suite: SrtpSuite, key: SrtpKey) {
    this.rekey(suite, key);
  }

  /** §3.3.1: the rollover counter goes on under another master key. */
  rekey(suite: SrtpSuite, { keyAndSalt, mki }: SrtpKey): void {
    this.#cipher = new SrtpCipher(deriveSessionKeys(keyAndSalt.reveal()));
    this.#tagBytes = SRTP_TAG_BYTES[suite];
    this.#mki = mki ?? NO_MKI;
  }

  protect(packet: Buffer): Buffer {
    const rolloverCounter = this.#count(packet.readUInt32BE(8), packet.readUInt16BE(2));
    const end = packet.length;
    const datagram = Buffer.concat([packet, this.#mki], end + this.#mki.length + this.#tagBytes);
    this.#cipher.transform(datagram, HEADER_BYTES, end, rolloverCounter * 0x1_0000 + this.#sequenceNumber);
    this.#cipher.sign(datagram, end, datagram.length - this.#tagBytes, rolloverCounter);
    return datagram;
  }

  /** @returns the rollover counter, which each SSRC has its own of */
  #count(ssrc: number, sequenceNumber: number): number {
    if (ssrc !== this.#ssrc) this.#rolloverCounter = 0;
    else if (sequenceNumber < this.#sequenceNumber) this.#rolloverCounter++;
    this.#ssrc = ssrc;
    this.#sequenceNumber = sequenceNumber;
    return this.#rolloverCounter;
  }
}
