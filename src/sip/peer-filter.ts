import ipaddr from 'ipaddr.js';

/** Tells which peers are served, by CIDR blocks. */
export class PeerFilter {
  readonly #blocks: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];

  /** @param blocks addresses or CIDR blocks, IPv4 or IPv6; validated before (`SIP_ALLOW`) */
  constructor(blocks: readonly string[]) {
    this.#blocks = blocks.map((block) => {
      if (block.includes('/')) return ipaddr.parseCIDR(block);
      const address = ipaddr.process(block);
      return [address, address.kind() === 'ipv4' ? 32 : 128];
    });
  }

  allows(address: string): boolean {
    if (!ipaddr.isValid(address)) return false;
    const peer = ipaddr.process(address); // an IPv4 peer on an IPv6 socket arrives as ::ffff:a.b.c.d
    return this.#blocks.some(
      ([network, bits]) => peer.kind() === network.kind() && peer.match(network, bits),
    );
  }
}
