const HEADER_BYTES = 12;
const VERSION_2 = 0x80;
const MARKER = 0x80;

/** Where a stream begins; by chance (RFC 3550 §5.1). */
export interface StreamStart {
  /** 0 to 65,535. */
  readonly sequenceNumber: number;
  /** 0 to 2³² − 1; the RTP timestamp of sample 0. */
  readonly timestamp: number;
}

/**
 * Writes the RTP packets of one stream:
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                           timestamp                           |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                             SSRC                              |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * The timestamp follows the sample, the sequence number the packets that were written: where samples are left out,
 * nothing is missing, and the packet behind them begins a talkspurt (RFC 3551 §4.1).
 */
export class PacketWriter {
  readonly #start: StreamStart;
  /** Where the packet before ended. */
  #endSample: number | undefined;
  #packetCount = 0;
  #octetCount = 0;

  constructor(start: StreamStart) {
    this.#start = start;
  }

  /** Packets and octets of payload so far (RFC 3550 §6.4.1). */
  get packetCount(): number {
    return this.#packetCount;
  }

  get octetCount(): number {
    return this.#octetCount;
  }

  timestampOf(sample: number): number {
    return (this.#start.timestamp + sample) % 2 ** 32;
  }

  /** @param sample where the payload begins, one octet a sample; never before the end of the packet before */
  write(
    {
      ssrc,
      payloadType,
      sample,
    }: { readonly ssrc: number; readonly payloadType: number; readonly sample: number },
    payload: Uint8Array,
  ): Buffer {
    const packet = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
    packet[0] = VERSION_2;
    packet[1] = sample === this.#endSample ? payloadType : MARKER | payloadType;
    packet.writeUInt16BE((this.#start.sequenceNumber + this.#packetCount) & 0xffff, 2);
    packet.writeUInt32BE(this.timestampOf(sample), 4);
    packet.writeUInt32BE(ssrc, 8);
    packet.set(payload, HEADER_BYTES);
    this.#endSample = sample + payload.length;
    this.#packetCount++;
    this.#octetCount += payload.length;
    return packet;
  }
}
