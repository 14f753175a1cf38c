import type { SrtpKey, SrtpSuite } from '../rtp/srtp-key.ts';
import { Secret } from '../secret.ts';

/** One a=crypto line that we can use; its keys are what the peer sends by. */
export interface CryptoLine {
  readonly tag: number;
  readonly suite: SrtpSuite;
  /** One, or several that are told apart by their identifiers. */
  readonly keys: readonly SrtpKey[];
}

/** Our a=crypto line: the tag and suite that were chosen, and the key that we send by. */
export interface OwnCrypto {
  readonly tag: number;
  readonly suite: SrtpSuite;
  readonly key: SrtpKey;
}

/** In our order of preference. */
const SUITES: readonly SrtpSuite[] = ['AES_CM_128_HMAC_SHA1_80', 'AES_CM_128_HMAC_SHA1_32'];
/** RFC 4568 §9.2: up to nine digits. */
const CRYPTO_LINE = /^a=crypto:(\d{1,9})[ \t]+(\S+)[ \t]+(\S+)((?:[ \t]+\S+)*)[ \t]*$/i;
/** 30 octets in base64, then lifetime and identifier, either or both (RFC 4568 §6.1). */
const INLINE_KEY = /^inline:([A-Za-z0-9+/]{40})(?:\|(?:2\^\d{1,2}|\d{1,15}))?(?:\|(\d{1,20}):(\d{1,3}))?$/i;
/** The window size hint, and extensions that may be left out (RFC 4568 §6.3.7, §6.3.8); nothing else is ignored. */
const IGNORED_PARAMETER = /^(?:WSH=\d+|-\S+)$/i;
const KEYS_MAX = 8;
const LINES_MAX = 16;
/** Octets of an identifier that we take; RFC 4568 allows 128, of which nobody makes use. */
const MKI_MAX_BYTES = 8;

/** Whether the line's packets are protected by keys of the description; DTLS (`UDP/TLS/RTP/SAVP`) is another thing. */
export function isSecureProtocol(protocol: string): boolean {
  return protocol === 'RTP/SAVP' || protocol === 'RTP/SAVPF';
}

/**
 * The usable a=crypto lines of every m-line, in the order of the description (RFC 4568 §9.1). Read from the text,
 * because the parser of descriptions keeps the first session parameter only. Not usable is a line with another
 * suite, another length of key, a key derivation rate, or a parameter that takes away encryption or
 * authentication. A lifetime is read and not watched: a peer that sends beyond it is the peer's to re-key.
 */
export function readCryptoLines(sdp: string): readonly (readonly CryptoLine[])[] {
  const media: CryptoLine[][] = [];
  for (const line of sdp.split(/\r\n|\r|\n/)) {
    if (line.startsWith('m=')) media.push([]);
    const lines = media.at(-1);
    if (lines === undefined || lines.length >= LINES_MAX) continue;
    const crypto = readCryptoLine(line);
    if (crypto !== undefined && !lines.some(({ tag }) => tag === crypto.tag)) lines.push(crypto);
  }
  return media;
}

/** The line to answer with: the first with an 80-bit tag, else the first (RFC 4568 §5.1.2 leaves it to us). */
export function chooseCrypto(lines: readonly CryptoLine[]): CryptoLine | undefined {
  return lines.find(({ suite }) => suite === SUITES[0]) ?? lines[0];
}

/** Our line, as the writer of descriptions takes it. */
export function writeCrypto({ tag, suite, key }: OwnCrypto): object {
  return { id: tag, suite, config: `inline:${key.keyAndSalt.reveal().toString('base64')}` };
}

function readCryptoLine(line: string): CryptoLine | undefined {
  const found = CRYPTO_LINE.exec(line);
  if (found === null) return undefined;
  const [, tag = '', suiteName = '', keyParameters = '', sessionParameters = ''] = found;
  const suite = SUITES.find((known) => known === suiteName.toUpperCase());
  const parameters = sessionParameters.split(/[ \t]+/).filter((parameter) => parameter !== '');
  if (suite === undefined || !parameters.every((parameter) => IGNORED_PARAMETER.test(parameter))) {
    return undefined;
  }
  const keys = keyParameters.split(';').map(readKey);
  return areUsable(keys) ? { tag: Number(tag), suite, keys } : undefined;
}

function areUsable(keys: readonly (SrtpKey | undefined)[]): keys is readonly SrtpKey[] {
  if (keys.length > KEYS_MAX || keys.includes(undefined)) return false;
  if (keys.length === 1) return true;
  // Several keys are told apart by their identifiers, which must have one length (RFC 4568 §6.1).
  const identifiers = keys.map((key) => key?.mki?.toString('hex') ?? '');
  return (
    new Set(identifiers).size === keys.length &&
    identifiers.every(({ length }) => length === identifiers[0]!.length)
  );
}

function readKey(parameter: string): SrtpKey | undefined {
  const found = INLINE_KEY.exec(parameter);
  if (found === null) return undefined;
  const [, base64 = '', identifier, length] = found;
  const keyAndSalt = new Secret(Buffer.from(base64, 'base64'));
  if (identifier === undefined) return { keyAndSalt, mki: undefined };
  const mki = toOctets(BigInt(identifier), Number(length));
  return mki === undefined ? undefined : { keyAndSalt, mki };
}

/** Big-endian; undefined where the value does not fit. */
function toOctets(value: bigint, length: number): Buffer | undefined {
  if (length < 1 || length > MKI_MAX_BYTES || value >= 1n << BigInt(8 * length)) return undefined;
  const octets = Buffer.alloc(8);
  octets.writeBigUInt64BE(value);
  return octets.subarray(8 - length);
}
