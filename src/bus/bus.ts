/**
 * The fast way between processes: every subscriber of a channel gets what is published while it listens. Lossy by
 * nature (nothing is kept, nothing is sent twice), but never silently: where a message may have been missed,
 * `onLost` says so, and the listener reads again from where the truth is.
 */
export interface Bus {
  /**
   * Hands a message over and returns at once; never throws for want of a connection. Messages of one process on one
   * channel arrive in order. What cannot be sent is dropped, counted, and told to the listeners as lost.
   *
   * @param message one line of text, as `JSON.stringify` makes it; up to {@link MESSAGE_MAX_BYTES} in UTF-8
   */
  publish(channel: string, message: string): void;
  /**
   * Resolves when the subscription is in force: whatever is published from then on comes, or `onLost` is told.
   *
   * @throws {CallscribeError} BUS_UNREACHABLE, when that takes longer than {@link SUBSCRIBE_MAX_MS}
   */
  subscribe(channel: string, listener: BusListener): Promise<Unsubscribe>;
  /** What was published before is sent within a bound; may be called twice. */
  close(): Promise<void>;
}

export type Unsubscribe = () => Promise<void>;

/** Told in the order of arrival; must be quick. What it throws is counted and logged, and harms nobody else. */
export interface BusListener {
  onMessage(message: string): void;
  /** Messages may have been missed; the subscription is in force again. */
  onLost(): void;
}

/**
 * - `sent`, `received`: messages;
 * - `dropped`: messages that were not sent (no connection, too much waiting, too large);
 * - `lost`: times that listeners of a channel were told that they may have missed some;
 * - `malformed`: packets that could not be read; `failed`: messages whose listener threw.
 */
export type BusOutcome = 'sent' | 'received' | 'dropped' | 'lost' | 'malformed' | 'failed';

export const MESSAGE_MAX_BYTES = 1_048_576;
export const SUBSCRIBE_MAX_MS = 5_000;

const CHANNEL = /^[a-z][a-z0-9_]{0,39}$/;

/** @throws {RangeError} unless the name is lower case, up to 40 letters, digits and underscores */
export function checkChannel(channel: string): void {
  if (!CHANNEL.test(channel)) {
    throw new RangeError(
      'bus channel: expected a lower-case letter and up to 39 letters, digits, underscores',
    );
  }
}
