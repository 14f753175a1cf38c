import type { LegRole } from '../sip/role-rules.ts';

export type Channel = 'left' | 'right' | 'both';

/** What decides on which side of a recording a leg is heard. */
export interface MixedLeg {
  readonly legNo: number;
  readonly role: LegRole;
}

/**
 * On which side each leg of a call is heard: agents left, customers right, a leg that holds both on both. Legs of
 * unknown role go one after the other to the side that has fewer legs, left where they are equal; one that is alone is on
 * both. Legs of one side are added.
 */
export function channelsOf(legs: readonly MixedLeg[]): readonly Channel[] {
  if (legs.length === 1 && legs[0]?.role === 'unknown') return ['both'];
  const count = { left: 0, right: 0, both: 0 };
  const known = legs.map(({ role }) => {
    const channel = CHANNEL_OF[role];
    if (channel !== undefined) count[channel]++;
    return channel;
  });
  const inOrder = [...legs.keys()].sort((a, b) => legs[a]!.legNo - legs[b]!.legNo);
  for (const index of inOrder) {
    if (known[index] !== undefined) continue;
    const channel = count.left <= count.right ? 'left' : 'right';
    known[index] = channel;
    count[channel]++;
  }
  return known as Channel[];
}

const CHANNEL_OF: Readonly<Record<LegRole, Channel | undefined>> = {
  agent: 'left',
  customer: 'right',
  mixed: 'both',
  unknown: undefined,
};

const MIN = -32_768;
const MAX = 32_767;

/**
 * Adds a leg's samples to a stereo piece, left and right in turn; what is louder than 16 bits is cut off there.
 *
 * @param at the first sample's place in the piece
 */
export function addLeg(piece: Int16Array, channel: Channel, samples: Int16Array, at: number): void {
  if (channel !== 'right') addTo(piece, 0, samples, at);
  if (channel !== 'left') addTo(piece, 1, samples, at);
}

function addTo(piece: Int16Array, side: 0 | 1, samples: Int16Array, at: number): void {
  for (let i = 0, to = 2 * at + side; i < samples.length; i++, to += 2) {
    const sum = piece[to]! + samples[i]!;
    piece[to] = sum < MIN ? MIN : sum > MAX ? MAX : sum;
  }
}
