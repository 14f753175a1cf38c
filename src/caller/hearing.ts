import type { Clock } from '../clock.ts';
import type { MediaSockets } from './media-sockets.ts';

/** A datagram at the RTP port, as it came. */
export interface HeardDatagram {
  readonly bytes: Buffer;
  readonly address: string;
  readonly port: number;
  /** Monotonic. */
  readonly arrivalMs: number;
}

/** What is kept of a leg; nothing that comes later is. */
export const HEARD_MAX_MS = 3_600_000;
const DATAGRAMS_MAX = HEARD_MAX_MS / 20;

/** Keeps what comes to a leg's RTP port, also before the answer that says how to read it. */
export class Hearing {
  readonly datagrams: HeardDatagram[] = [];

  constructor(sockets: MediaSockets, clock: Clock) {
    sockets.onRtp = (bytes, { address, port }) => {
      if (this.datagrams.length === DATAGRAMS_MAX) return;
      this.datagrams.push({ bytes, address, port, arrivalMs: clock.monotonicMs() });
    };
  }
}
