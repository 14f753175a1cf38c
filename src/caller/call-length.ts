import { G711_SILENCE } from '../audio/g711.ts';
import { keyMs, type KeyPress } from './key-plan.ts';
import type { LegSource } from './leg-source.ts';

export interface CallLength {
  readonly ptimeMs: number;
  readonly keys: readonly KeyPress[];
  /** How long the peer is waited for behind the audio; undefined: not at all. */
  readonly untilByeMs: number | undefined;
}

const CODES_PER_MS = 8;

/** Puts silence behind a leg's audio, for keys that are pressed there and for the wait for the peer's BYE. */
export function lengthened(leg: LegSource, { ptimeMs, keys, untilByeMs = 0 }: CallLength): LegSource {
  const audioMs = leg.codes.length / CODES_PER_MS;
  const keysMs =
    keys.length === 0 ? 0 : Math.max(...keys.map(({ atMs }) => atMs)) + keys.length * keyMs(ptimeMs);
  const length = Math.ceil((Math.max(audioMs, keysMs) + untilByeMs) * CODES_PER_MS);
  if (length <= leg.codes.length) return leg;
  const codes = new Uint8Array(length).fill(G711_SILENCE[leg.codec]);
  codes.set(leg.codes);
  return { ...leg, codes };
}
