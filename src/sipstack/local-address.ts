import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

/**
 * Our own address on the way to a peer, as the system's routing table has it: a UDP socket is connected (which sends
 * nothing) and asked for its name. Needed where a socket listens on a wildcard address, since Contact and Via must
 * carry an address that the peer can reach.
 */
export function localAddressTowards(remoteHost: string): Promise<string> {
  const socket = createSocket(isIPv6(remoteHost) ? 'udp6' : 'udp4');
  return new Promise<string>((resolve, reject) => {
    socket.once('error', reject);
    // The discard port; nothing is sent to it.
    socket.connect(9, remoteHost, () => {
      resolve(socket.address().address);
    });
  }).finally(() => {
    socket.close();
  });
}
