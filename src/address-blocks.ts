import ipaddr from 'ipaddr.js';

/** Whether a text is an address or a CIDR block, of IPv4 or IPv6. */
export function isAddressBlock(text: string): boolean {
  return text.includes('/') ? ipaddr.isValidCIDR(text) : ipaddr.isValid(text);
}

/** Blocks of addresses, such as those whose peers are served. */
export class AddressBlocks {
  readonly #blocks: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];

  /** @param blocks each for which {@link isAddressBlock} holds */
  constructor(blocks: readonly string[]) {
    this.#blocks = blocks.map((block) => {
      if (block.includes('/')) return ipaddr.parseCIDR(block);
      const address = ipaddr.process(block);
      return [address, address.kind() === 'ipv4' ? 32 : 128];
    });
  }

  /** Whether the address lies in one of them; never for what is no address. */
  contains(address: string): boolean {
    if (!ipaddr.isValid(address)) return false;
    const found = ipaddr.process(address); // an IPv4 peer on an IPv6 socket arrives as ::ffff:a.b.c.d
    return this.#blocks.some(
      ([network, bits]) => found.kind() === network.kind() && found.match(network, bits),
    );
  }
}
