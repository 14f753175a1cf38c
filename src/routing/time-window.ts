/** A stretch of the week, such as the hours of an office. */
export interface TimeWindow {
  /** Of {@link WEEKDAYS}; empty: every day. */
  readonly days: readonly Weekday[];
  /** Minutes from midnight. `toMinute` is outside; where it is not above `fromMinute` the window goes over midnight. */
  readonly fromMinute: number;
  readonly toMinute: number;
  /** IANA name, such as `Asia/Shanghai`. */
  readonly zone: string;
}

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof WEEKDAYS)[number];

const MINUTES_A_DAY = 1_440;

export const isZone = (zone: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
};

/** `08:30` → 510, `24:00` → 1440; undefined for what is no time of day. */
export function readMinute(text: string): number | undefined {
  const [, hour, minute] = /^(\d{1,2}):(\d{2})$/u.exec(text) ?? [];
  const minutes = Number(hour) * 60 + Number(minute);
  return Number(minute) < 60 && minutes <= MINUTES_A_DAY ? minutes : undefined;
}

/** Whether a moment lies within the window, by the clock of its zone. The night belongs to the day that it began on. */
export function isWithin({ days, fromMinute, toMinute, zone }: TimeWindow, at: Date): boolean {
  const { day, minute } = wallClock(at, zone);
  const isOn = (index: number): boolean => {
    const name = WEEKDAYS[(index + WEEKDAYS.length) % WEEKDAYS.length];
    return days.length === 0 || (name !== undefined && days.includes(name));
  };
  if (fromMinute < toMinute) return isOn(day) && minute >= fromMinute && minute < toMinute;
  return (isOn(day) && minute >= fromMinute) || (isOn(day - 1) && minute < toMinute);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function wallClock(at: Date, zone: string): { readonly day: number; readonly minute: number } {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    formats.set(zone, format);
  }
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const weekday = (parts.get('weekday') ?? '').toLowerCase();
  return {
    day: WEEKDAYS.findIndex((name) => weekday.startsWith(name)),
    minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')),
  };
}
