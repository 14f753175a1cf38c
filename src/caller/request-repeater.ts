import { Retransmission } from '../sipstack/retransmission.ts';

/** RFC 3261 §17.1.1.1: estimate of the round trip, and the longest pause between two requests other than INVITE. */
const T1_MS = 500;
const T2_MS = 4_000;

/**
 * Sends requests again over UDP until they are answered (timers A and E, RFC 3261 §17.1.1.2, §17.1.2.2), which
 * sip.js 0.21.2 does not, being made for WebSocket. An INVITE stops at the first response, others at the final
 * one; what is never answered stops when sip.js gives up, 64 T1 later, or at {@link close}.
 */
export class RequestRepeater {
  readonly #running = new Map<string, { retransmission: Retransmission; deadline: NodeJS.Timeout }>();

  sent(branch: string, method: string, resend: () => void): void {
    const key = `${branch} ${method}`;
    this.#stop(key);
    const maxMs = method === 'INVITE' ? Number.POSITIVE_INFINITY : T2_MS;
    const retransmission = new Retransmission({ firstMs: T1_MS, maxMs, resend });
    const deadline = setTimeout(() => {
      this.#stop(key);
    }, 64 * T1_MS);
    this.#running.set(key, { retransmission, deadline });
  }

  answered(branch: string, method: string, status: number): void {
    if (method === 'INVITE' || status >= 200) this.#stop(`${branch} ${method}`);
  }

  close(): void {
    for (const key of this.#running.keys()) this.#stop(key);
  }

  #stop(key: string): void {
    const running = this.#running.get(key);
    if (running === undefined) return;
    this.#running.delete(key);
    running.retransmission.stop();
    clearTimeout(running.deadline);
  }
}
