import type { CallId } from '../ids.ts';
import type { LiveFilter } from './message.ts';
import type { CallPosition } from './position.ts';

/** Calls that one subscriber follows at a time; the newest are taken up at the start. */
export const CALLS_MAX = 2_000;

/** Where a stream over many calls begins. */
export type ManyStart =
  /** Calls that go on, from their beginnings. */
  | { readonly kind: 'beginning' }
  /** After an id that this process may know: where it does not, `reset` is sent and it is as above. */
  | { readonly kind: 'after'; readonly lastId: string }
  /** Where the client says. Calls that it does not name come from their beginnings. */
  | {
      readonly kind: 'positions';
      /** `ended`: all of it was received. At most {@link CALLS_MAX}. */
      readonly calls: ReadonlyMap<CallId, CallPosition | 'ended'>;
      /** Calls that began after it come also where they have ended. */
      readonly since: Date | undefined;
    };

/** What a subscriber follows: one call to its end, or whatever calls there are. */
export type Following =
  | { readonly kind: 'call'; readonly callId: CallId }
  | {
      readonly kind: 'many';
      readonly filter: LiveFilter;
      /** Calls that began after it are followed also where they have ended. */
      readonly since: Date | undefined;
      readonly sessionId: string;
      readonly owner: string;
    };
