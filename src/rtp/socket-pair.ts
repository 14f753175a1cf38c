import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { PortPool } from './port-pool.ts';
import type { RtcpTarget } from './rtcp-route.ts';

/** Room for more than a second of packets in the kernel, should the event loop be late. The system may cap it. */
const RECEIVE_BUFFER_BYTES = 1 << 20;
/** Pairs in a row that other processes may hold before we say that the range is not ours. */
const OCCUPIED_PAIRS_MAX = 64;

export interface SocketPairHandlers {
  readonly onRtp: (datagram: Buffer, source: RemoteInfo) => void;
  readonly onRtcp: (datagram: Buffer, source: RemoteInfo) => void;
  /** A socket reported an error after it was bound; it goes on receiving. */
  readonly onSocketError: (error: Error) => void;
}

/** Two bound sockets; what comes goes to the handlers from the first datagram on. */
export interface SocketPair {
  readonly rtpPort: number;
  /** Resolves once the system has taken the datagram or has refused it, which is an `onSocketError`. */
  send(datagram: Buffer, target: RtcpTarget): Promise<void>;
  /** Closes both and lets the ports rest. May be called twice. */
  close(): Promise<void>;
}

/**
 * Binds the next free pair of the pool, and goes on to the next where another process holds a port, or where somebody
 * speaks to it who must mean the call of a process that is gone.
 * @throws {CallscribeError} `RTP_PORTS_EXHAUSTED` (retryable) when no pair is free or 64 in a row were occupied;
 * other faults of the system, such as an address that is not ours, as they are
 */
export async function bindPair(ports: PortPool, handlers: SocketPairHandlers): Promise<SocketPair> {
  for (let occupied = 0; occupied < OCCUPIED_PAIRS_MAX; occupied++) {
    const rtpPort = ports.take();
    const sockets: Socket[] = [];
    try {
      const { listenFirstMs } = ports;
      if (listenFirstMs > 0 && !(await isQuiet(ports, rtpPort, listenFirstMs))) {
        ports.release(rtpPort);
        continue;
      }
      sockets.push(await bind(ports, rtpPort, handlers.onRtp, handlers.onSocketError));
      sockets.push(await bind(ports, rtpPort + 1, handlers.onRtcp, handlers.onSocketError));
      return {
        rtpPort,
        send: (datagram, target) => send(sockets, datagram, target, handlers.onSocketError),
        close: () => closeAll(sockets, ports, rtpPort),
      };
    } catch (error) {
      await closeAll(sockets, ports, rtpPort);
      if (systemCode(error) !== 'EADDRINUSE') throw error;
    }
  }
  throw new CallscribeError(
    'RTP_PORTS_EXHAUSTED',
    `${OCCUPIED_PAIRS_MAX} RTP port pairs in a row are held by other processes; set RTP_PORTS to another range`,
    { retryable: true },
  );
}

/** Whether nobody sends to a port for that long. @throws what the system says to binding it */
async function isQuiet(ports: PortPool, rtpPort: number, listenMs: number): Promise<boolean> {
  const heard = new AbortController();
  const socket = await bind(
    ports,
    rtpPort,
    () => {
      heard.abort();
    },
    () => undefined,
  );
  const quiet = await delay(listenMs, true, { signal: heard.signal }).catch(() => false);
  await new Promise<void>((resolve) => {
    socket.close(resolve);
  });
  return quiet;
}

async function bind(
  ports: PortPool,
  port: number,
  onMessage: (datagram: Buffer, source: RemoteInfo) => void,
  onError: (error: Error) => void,
): Promise<Socket> {
  const socket = createSocket({ type: ports.socketType });
  // Before it is bound: a datagram may come with the very next turn of the loop.
  socket.on('message', onMessage);
  try {
    const listening = once(socket, 'listening');
    socket.bind({ port, address: ports.address, exclusive: true });
    await listening;
  } catch (error) {
    socket.close();
    throw toError(error);
  }
  socket.on('error', onError);
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch {
    // Some systems refuse what is above their maximum instead of capping it: the default stays.
  }
  return socket;
}

function send(
  [rtp, rtcp]: readonly Socket[],
  datagram: Buffer,
  target: RtcpTarget,
  onError: (error: Error) => void,
): Promise<void> {
  const socket = target.socket === 'rtp' ? rtp : rtcp;
  if (socket === undefined) return Promise.resolve();
  const isMapped = isIPv6(socket.address().address) && !isIPv6(target.address);
  return new Promise((resolve) => {
    socket.send(datagram, target.port, isMapped ? `::ffff:${target.address}` : target.address, (error) => {
      if (error !== null) onError(error);
      resolve();
    });
  });
}

async function closeAll(sockets: Socket[], ports: PortPool, rtpPort: number): Promise<void> {
  await Promise.all(
    sockets.splice(0).map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.close(resolve);
        }),
    ),
  );
  ports.release(rtpPort);
}
