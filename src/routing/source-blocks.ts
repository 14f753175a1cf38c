import ipaddr from 'ipaddr.js';

/** Whether a text is an address or a CIDR block. */
export function isBlock(text: string): boolean {
  return text.includes('/') ? ipaddr.isValidCIDR(text) : ipaddr.isValid(text);
}

/** @param blocks each for which {@link isBlock} holds */
export function sourceMatcher(blocks: readonly string[]): (address: string) => boolean {
  const networks = blocks.map((block): [ipaddr.IPv4 | ipaddr.IPv6, number] => {
    if (block.includes('/')) return ipaddr.parseCIDR(block);
    const address = ipaddr.process(block);
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  });
  return (address) => {
    if (!ipaddr.isValid(address)) return false;
    const peer = ipaddr.process(address);
    return networks.some(([network, bits]) => peer.kind() === network.kind() && peer.match(network, bits));
  };
}
