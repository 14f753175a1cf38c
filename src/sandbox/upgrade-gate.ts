import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

import type { ConnectionFault, RefusalFault } from './faults.ts';
import { NOT_FOUND, refusalBody } from './http-api.ts';

/** What is to be done with a request for a WebSocket. */
export type Upgrade =
  | { readonly kind: 'accepted'; readonly fault: ConnectionFault | undefined; readonly accept: () => void }
  | { readonly kind: 'refused'; readonly refusal: RefusalFault };

const INFERENCE_PATHS = new Set(['/api-ws/v1/inference', '/api-ws/v1/inference/']);

/** The address that a client asked for, where it is one of a recognition socket. */
export function inferenceAddress(
  request: IncomingMessage,
):
  | { readonly kind: 'address'; readonly query: URLSearchParams }
  | { readonly kind: 'refused'; readonly refusal: RefusalFault } {
  const text = request.url ?? '';
  const target = URL.canParse(text, 'ws://sandbox') ? new URL(text, 'ws://sandbox') : undefined;
  if (target === undefined || !INFERENCE_PATHS.has(target.pathname)) {
    return { kind: 'refused', refusal: NOT_FOUND };
  }
  return { kind: 'address', query: target.searchParams };
}

/** Carries out what was decided about upgrades, faults included; holds those that a fault keeps waiting. */
export class UpgradeGate {
  readonly #idleMs: number;
  readonly #onRefused: () => void;
  readonly #stalled = new Map<Duplex, NodeJS.Timeout>();

  /** @param idleMs after which an upgrade that is never to be answered ends, as every socket without a task */
  constructor(idleMs: number, onRefused: () => void) {
    this.#idleMs = idleMs;
    this.#onRefused = onRefused;
  }

  /** Upgrades that wait. */
  get waiting(): number {
    return this.#stalled.size;
  }

  handle(socket: Duplex, upgrade: Upgrade): void {
    if (upgrade.kind === 'refused') {
      this.#refuse(socket, upgrade.refusal);
      return;
    }
    const { fault, accept } = upgrade;
    switch (fault?.kind) {
      case undefined:
        accept();
        return;
      case 'refuse':
        this.#refuse(socket, fault);
        return;
      case 'cut':
        this.#onRefused();
        socket.destroy();
        return;
      case 'stall':
        this.#stall(socket, fault.forMs, accept);
        return;
      default:
        fault satisfies never;
    }
  }

  close(): void {
    for (const [socket, timer] of this.#stalled) {
      clearTimeout(timer);
      socket.destroy();
    }
    this.#stalled.clear();
  }

  #stall(socket: Duplex, forMs: number | 'ever', accept: () => void): void {
    const timer = setTimeout(
      () => {
        this.#stalled.delete(socket);
        if (forMs === 'ever') socket.destroy();
        else accept();
      },
      forMs === 'ever' ? this.#idleMs : forMs,
    );
    this.#stalled.set(socket, timer);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#stalled.delete(socket);
    });
  }

  #refuse(socket: Duplex, refusal: RefusalFault): void {
    this.#onRefused();
    const body = JSON.stringify(refusalBody(refusal));
    socket.end(
      [
        `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? 'Refused'}`,
        'Content-Type: application/json',
        `Content-Length: ${Buffer.byteLength(body)}`,
        'Connection: close',
        '',
        body,
      ].join('\r\n'),
    );
  }
}
