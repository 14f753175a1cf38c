import { LatchRule, type SignalledSource, SOURCE_RANK } from './latch-rule.ts';
import type { LastSource } from './late-sender.ts';
import { type RtcpTarget, usableTarget } from './rtcp-route.ts';

/** A source that still speaks so long after another address was announced, is the one that is meant. */
const ANNOUNCED_MS = 500;

/**
 * Where what a leg says goes to: back to where its peer's media comes from (RFC 4961), and until any came to the
 * signalled address, which may be private. A newly signalled address counts before the source of the old one, until
 * that one goes on all the same; a source that may not be the leg's any more (`LatchRule`) gets nothing.
 */
export class MediaRoute {
  #signalled: SignalledSource;
  #rule: LatchRule;
  #target: RtcpTarget | undefined;
  /** Who spoke when the present address was announced in place of another. */
  #before: LastSource | undefined;
  #announcedMs = 0;

  constructor(signalled: SignalledSource) {
    this.#signalled = signalled;
    this.#rule = new LatchRule(signalled);
    this.#target = usableTarget({ ...signalled, socket: 'rtp' });
  }

  /** A new description; one that says the same as before changes nothing. */
  redirect(signalled: SignalledSource, source: LastSource | undefined, nowMs: number): void {
    const { address, port } = this.#signalled;
    if (signalled.address === address && signalled.port === port) return;
    this.#signalled = signalled;
    this.#rule = new LatchRule(signalled);
    this.#target = usableTarget({ ...signalled, socket: 'rtp' });
    this.#before = source;
    this.#announcedMs = nowMs;
  }

  /** @param source who speaks on the leg now */
  target(source: LastSource | undefined): RtcpTarget | undefined {
    if (source === undefined || this.#isPast(source)) return this.#target;
    return { address: source.address, port: source.port, socket: 'rtp' };
  }

  #isPast({ address, port, atMs }: LastSource): boolean {
    if (this.#rule.rankOf(address, port) === SOURCE_RANK.NEVER) return true;
    const isOld = this.#before?.port === port && this.#before.address === address;
    return isOld && atMs < this.#announcedMs + ANNOUNCED_MS;
  }
}
