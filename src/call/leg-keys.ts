import type { TelephoneEvent } from '../rtp/telephone-events.ts';

/** `hide`: a row says that a key was pressed, and not which one. */
export type DtmfDigits = 'store' | 'hide';

/** Rows of one leg; a caller who types a card number makes twenty. What comes beyond is counted in `legs.media`. */
const ROWS_MAX = 500;
/** RFC 4733 §3.2, table 3. */
const DIGITS = '0123456789*#ABCD';
const TICKS_PER_MS = 8;

/** Undefined for what is no key. */
export const keyOf = ({ code }: Pick<TelephoneEvent, 'code'>): string | undefined => DIGITS[code];

export interface LegKeysOptions {
  readonly digits: DtmfDigits;
  readonly onEvent: (kind: string, detail: Readonly<Record<string, unknown>>) => void;
}

/** Turns telephone-events into the leg's rows: `dtmf` for the sixteen keys, `telephone_event` for all others. */
export class LegKeys {
  readonly #options: LegKeysOptions;
  #rows = 0;

  constructor(options: LegKeysOptions) {
    this.#options = options;
  }

  /** @returns whether it was a key */
  take(event: TelephoneEvent): boolean {
    const { digits, onEvent } = this.#options;
    const digit = keyOf(event);
    this.#rows++;
    if (this.#rows > ROWS_MAX) {
      if (this.#rows === ROWS_MAX + 1) onEvent('telephone_events_not_stored', { afterRows: ROWS_MAX });
      return digit !== undefined;
    }
    const detail = {
      beginMs: event.beginSample === undefined ? null : event.beginSample / TICKS_PER_MS,
      durationMs: event.durationTicks / TICKS_PER_MS,
      end: event.end,
    };
    if (digit === undefined) onEvent('telephone_event', { code: event.code, ...detail });
    else onEvent('dtmf', digits === 'store' ? { digit, ...detail } : detail);
    return digit !== undefined;
  }
}
