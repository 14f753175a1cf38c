import type { Secret } from '../secret.ts';

/**
 * The crypto suites that we take, by their names in a session description (RFC 4568 §6.2). They differ in the
 * length of the RTP tag alone: RTCP always has 80 bits.
 */
export type SrtpSuite = 'AES_CM_128_HMAC_SHA1_80' | 'AES_CM_128_HMAC_SHA1_32';

/** Octets of the authentication tag of an RTP packet. */
export const SRTP_TAG_BYTES: Readonly<Record<SrtpSuite, number>> = {
  AES_CM_128_HMAC_SHA1_80: 10,
  AES_CM_128_HMAC_SHA1_32: 4,
};

/** Octets of a master key with the master salt behind it: 128 and 112 bits. */
export const MASTER_KEY_BYTES = 16;
export const KEY_AND_SALT_BYTES = 30;

/** One master key, with the identifier that its packets carry where the description gave it one. */
export interface SrtpKey {
  /** Key and salt, 30 octets. */
  readonly keyAndSalt: Secret<Buffer>;
  /** 1 to 8 octets; undefined where packets carry none. All keys of one side have the same length. */
  readonly mki: Buffer | undefined;
}

/** What both sides of one leg agreed on. */
export interface SrtpTerms {
  readonly suite: SrtpSuite;
  /** The peer protects what it sends by one of these; at least one. */
  readonly remoteKeys: readonly SrtpKey[];
  /** We protect what we send by this. */
  readonly localKey: SrtpKey;
}
