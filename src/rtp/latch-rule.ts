import ipaddr from 'ipaddr.js';

/** Where the peer said that its media comes from: its session description's c= and m= lines. */
export interface SignalledSource {
  /** An IP address; undefined where it told none, a placeholder or a name. */
  readonly address: string | undefined;
  readonly port: number;
  /** Where its SIP comes from, which it passed the access rules with. */
  readonly sipAddress?: string | undefined;
}

/** What a peer behind a translator of addresses may have told: its own view of itself, of no use to us. */
const PRIVATE_RANGES: ReadonlySet<string> = new Set([
  'unspecified',
  'loopback',
  'private',
  'linkLocal',
  'uniqueLocal',
  'carrierGradeNat',
  'broadcast',
  'multicast',
]);

/** How good a source is: the higher, the nearer to what was signalled. `NEVER` is not heard at all. */
export const SOURCE_RANK = { NEVER: 0, STRANGER: 1, ADDRESS: 2, ADDRESS_AND_PORT: 3 } as const;
export type SourceRank = (typeof SOURCE_RANK)[keyof typeof SOURCE_RANK];

/**
 * Who may be a leg's source. The signalled address may, from whatever port, since a peer that only sends need not
 * send from the port that it named (RFC 4961 is advice). Where its SIP comes from is as much its own: phones with
 * several interfaces name one and send from another. Somebody else may only where the signalled address is private
 * or absent.
 */
export class LatchRule {
  readonly #address: string | undefined;
  /** As a socket of both families shows an IPv4 source. */
  readonly #mappedAddress: string | undefined;
  readonly #port: number;
  readonly #sipAddress: string | undefined;
  readonly #stranger: SourceRank;

  constructor(signalled: SignalledSource | undefined) {
    const address = signalled?.address;
    const parsed = address !== undefined && ipaddr.isValid(address) ? ipaddr.process(address) : undefined;
    this.#address = parsed?.toString();
    this.#mappedAddress = parsed?.kind() === 'ipv4' ? `::ffff:${parsed.toString()}` : this.#address;
    this.#port = signalled?.port ?? 0;
    this.#sipAddress = signalled?.sipAddress;
    const isPrivate = parsed === undefined || PRIVATE_RANGES.has(parsed.range());
    this.#stranger = isPrivate ? SOURCE_RANK.STRANGER : SOURCE_RANK.NEVER;
  }

  rankOf(address: string, port: number): SourceRank {
    if (address !== this.#address && address !== this.#mappedAddress) {
      return isSameHost(address, this.#sipAddress) ? SOURCE_RANK.STRANGER : this.#stranger;
    }
    return port === this.#port ? SOURCE_RANK.ADDRESS_AND_PORT : SOURCE_RANK.ADDRESS;
  }
}

/** A socket of both families shows an IPv4 address in its IPv6 form. */
function isSameHost(address: string, other: string | undefined): boolean {
  return other !== undefined && (address === other || withoutMapping(address) === withoutMapping(other));
}

const withoutMapping = (address: string): string =>
  address.startsWith('::ffff:') ? address.slice(7) : address;
