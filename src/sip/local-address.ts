import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

/** More peers than this are not remembered; the oldest is forgotten. */
const REMEMBERED_PEERS_MAX = 1024;

/**
 * Finds the address of this machine from which a peer is reached, by connecting a UDP socket to it: that asks
 * the routing table and sends nothing.
 */
export class LocalAddressFinder {
  readonly #found = new Map<string, string>();

  /** @throws {Error} of the system, such as ENETUNREACH, when there is no route */
  async towards(peerAddress: string): Promise<string> {
    const known = this.#found.get(peerAddress);
    if (known !== undefined) return known;
    const local = await askRoutingTable(peerAddress);
    if (this.#found.size === REMEMBERED_PEERS_MAX) {
      const [oldest] = this.#found.keys();
      if (oldest !== undefined) this.#found.delete(oldest);
    }
    this.#found.set(peerAddress, local);
    return local;
  }
}

function askRoutingTable(peerAddress: string): Promise<string> {
  const socket = createSocket(isIPv6(peerAddress) ? 'udp6' : 'udp4');
  return new Promise<string>((resolve, reject) => {
    socket.once('error', reject);
    socket.connect(9, peerAddress, () => {
      resolve(socket.address().address);
    });
  }).finally(() => {
    socket.close();
  });
}
