import type pc from 'picocolors';

import type { LegRole } from '../sip/role-rules.ts';

/** Who speaks on a leg, as far as the call told. */
export interface Speaker {
  readonly role: LegRole;
  readonly name: string | undefined;
}

/** `picocolors`, with colours on or off. */
export type Colours = ReturnType<typeof pc.createColors>;

const ROLE_COLUMNS = 8;

/** The role in its colour, padded to a column, then the name. Roles are Latin, so padding counts characters. */
export function speakerText({ role, name }: Speaker, colours: Colours): string {
  const shown = roleColour(role, colours)(role.padEnd(ROLE_COLUMNS));
  return name === undefined ? shown : `${shown} ${name}`;
}

export function roleColour(role: LegRole, colours: Colours): (text: string) => string {
  switch (role) {
    case 'agent':
      return colours.cyan;
    case 'customer':
      return colours.yellow;
    case 'mixed':
      return colours.magenta;
    case 'unknown':
      return colours.gray;
  }
}

/** Milliseconds of a call as `mm:ss.t`; minutes go on beyond 59. */
export function timeText(ms: number): string {
  const tenths = Math.floor(ms / 100);
  const seconds = Math.floor(tenths / 10);
  const pad = (value: number): string => String(value).padStart(2, '0');
  return `${pad(Math.floor(seconds / 60))}:${pad(seconds % 60)}.${tenths % 10}`;
}
