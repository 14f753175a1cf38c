import { randomInt } from 'node:crypto';

import type { SipFlow } from '../sipstack/flow.ts';
import { headers, type SipRequest } from '../sipstack/message.ts';
import { Retransmission } from '../sipstack/retransmission.ts';
import { sipTimers } from '../sipstack/sipjs.ts';

/** RFC 3262 §3: the first number lies between 1 and 2³¹ − 1, and each response takes the next one. */
export const firstRSeq = (): number => randomInt(1, 2 ** 31 - 1_000);

/** Whether the sender of an INVITE can acknowledge provisional responses. */
export function supports100rel(invite: SipRequest): boolean {
  return [...headers(invite, 'supported'), ...headers(invite, 'require')].some((value) =>
    /\b100rel\b/i.test(value),
  );
}

/** A provisional response that is repeated, over any transport, until its PRACK comes. RFC 3262 §3. */
export class ReliableProvisional {
  readonly rseq: number;
  readonly #inviteNumber: number;
  readonly #resending: Retransmission;
  readonly #deadline: NodeJS.Timeout;

  constructor(options: {
    readonly rseq: number;
    readonly inviteNumber: number;
    readonly bytes: Uint8Array;
    readonly flow: SipFlow;
    /** No PRACK came within 64·T1: the INVITE should be refused. */
    readonly onUnacknowledged: () => void;
  }) {
    this.rseq = options.rseq;
    this.#inviteNumber = options.inviteNumber;
    const { t1Ms } = sipTimers();
    this.#resending = new Retransmission({
      firstMs: t1Ms,
      maxMs: 64 * t1Ms,
      resend: () => {
        options.flow.send(options.bytes).catch(() => {
          // The next one may pass; at the end the deadline says so.
        });
      },
    });
    this.#deadline = setTimeout(() => {
      this.stop();
      options.onUnacknowledged();
    }, 64 * t1Ms);
  }

  /** Whether a RAck header means this response. */
  isMeantBy(rack: string): boolean {
    const found = /^(\d+)\s+(\d+)\s+INVITE$/i.exec(rack.trim());
    return Number(found?.[1]) === this.rseq && Number(found?.[2]) === this.#inviteNumber;
  }

  stop(): void {
    this.#resending.stop();
    clearTimeout(this.#deadline);
  }
}
