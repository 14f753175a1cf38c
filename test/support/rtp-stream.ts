/** What a test says about a packet; the rest has values that do not matter. */
export interface PacketFields {
  readonly sequenceNumber?: number;
  readonly timestamp?: number;
  readonly ssrc?: number;
  readonly payloadType?: number;
  readonly marker?: boolean;
  readonly payload?: Uint8Array;
  readonly csrcs?: readonly number[];
  /** Words of a header extension. */
  readonly extensionWords?: number;
  readonly paddingBytes?: number;
}

/** Builds one datagram; counters wrap as they do on the wire. */
export function rtpDatagram(fields: PacketFields): Buffer {
  const csrcs = fields.csrcs ?? [];
  const payload = fields.payload ?? new Uint8Array(160);
  const paddingBytes = fields.paddingBytes ?? 0;
  const hasExtension = fields.extensionWords !== undefined;
  const header = Buffer.alloc(12 + 4 * csrcs.length);
  header[0] = 0x80 | (paddingBytes > 0 ? 0x20 : 0) | (hasExtension ? 0x10 : 0) | csrcs.length;
  header[1] = (fields.marker === true ? 0x80 : 0) | (fields.payloadType ?? 0);
  header.writeUInt16BE((fields.sequenceNumber ?? 0) & 0xffff, 2);
  header.writeUInt32BE((fields.timestamp ?? 0) >>> 0, 4);
  header.writeUInt32BE(fields.ssrc ?? 0x1234, 8);
  csrcs.forEach((csrc, i) => header.writeUInt32BE(csrc, 12 + 4 * i));

  const extension = Buffer.alloc(hasExtension ? 4 + 4 * fields.extensionWords : 0, 0xee);
  if (hasExtension) extension.writeUInt16BE(fields.extensionWords, 2);
  return Buffer.concat([header, extension, payload, Buffer.alloc(paddingBytes, paddingBytes)]);
}

/**
 * The code of the sample at an index, as `codeStream` sends it: neighbours differ, no code decodes to zero in
 * either law, and the pattern repeats only after 251 samples, so that a shift shows.
 */
export function codeAt(index: number): number {
  return ((index % 251) * 97) & 0x7e;
}

/** The codes of the samples from one index on. */
export function codes(beginSample: number, samples: number): Uint8Array {
  return Uint8Array.from({ length: samples }, (_, i) => codeAt(beginSample + i));
}
