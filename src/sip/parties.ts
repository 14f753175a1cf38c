import type { Participant, RecordingMetadata } from './rs-metadata.ts';

/** `mixed` and `unknown` are honest answers, not faults. */
export type LegRole = 'agent' | 'customer' | 'mixed' | 'unknown';

/** How parties were matched to lines, strongest evidence first; `none` where nothing told. */
export type PartyMapping = 'metadata' | 'receiver' | 'positional' | 'none';

/** Who speaks on one line. */
export interface Party {
  readonly role: LegRole;
  readonly name: string | undefined;
  readonly uri: string | undefined;
}

export interface PartiesOfLines {
  /** Same order as the labels. */
  readonly parties: readonly Party[];
  /** The weakest evidence that any line needed. */
  readonly mapping: PartyMapping;
}

const STRENGTH: readonly PartyMapping[] = ['metadata', 'receiver', 'positional', 'none'];

/**
 * Matches participants to lines. Evidence in this order, first that works: the participant who sends the
 * line's stream; the only participant who receives the other line's stream; the same position in both lists,
 * where there are as many participants as lines. Two senders of one stream make a mixed line.
 */
export function matchParties(
  metadata: RecordingMetadata | undefined,
  labels: readonly (string | undefined)[],
): PartiesOfLines {
  if (metadata === undefined) return { parties: labels.map(() => UNKNOWN_PARTY), mapping: 'none' };
  const found = labels.map((label, index) => matchLine(metadata, labels, label, index));
  return {
    parties: found.map(({ party }) => party),
    mapping: STRENGTH[Math.max(0, ...found.map(({ mapping }) => STRENGTH.indexOf(mapping)))] ?? 'none',
  };
}

const UNKNOWN_PARTY: Party = { role: 'unknown', name: undefined, uri: undefined };

function matchLine(
  metadata: RecordingMetadata,
  labels: readonly (string | undefined)[],
  label: string | undefined,
  index: number,
): { party: Party; mapping: PartyMapping } {
  const streamId = streamOf(metadata, label);
  const senders = streamId === undefined ? [] : participantsWhere(metadata, 'sends', streamId);
  if (senders.length > 1) return { party: { ...UNKNOWN_PARTY, role: 'mixed' }, mapping: 'metadata' };
  if (senders[0] !== undefined) return { party: toParty(senders[0]), mapping: 'metadata' };

  const otherStreamId = labels.length === 2 ? streamOf(metadata, labels[1 - index]) : undefined;
  const receivers = otherStreamId === undefined ? [] : participantsWhere(metadata, 'receives', otherStreamId);
  if (receivers.length === 1 && receivers[0] !== undefined) {
    return { party: toParty(receivers[0]), mapping: 'receiver' };
  }

  const positional =
    metadata.participants.length === labels.length ? metadata.participants[index] : undefined;
  if (positional !== undefined) return { party: toParty(positional), mapping: 'positional' };
  return { party: UNKNOWN_PARTY, mapping: 'none' };
}

function streamOf(metadata: RecordingMetadata, label: string | undefined): string | undefined {
  if (label === undefined) return undefined;
  return metadata.streams.find((stream) => stream.label === label && stream.id !== '')?.id;
}

function participantsWhere(
  metadata: RecordingMetadata,
  relation: 'sends' | 'receives',
  streamId: string,
): readonly Participant[] {
  const ids = new Set(
    metadata.associations
      .filter((association) => association[relation].includes(streamId))
      .map(({ participantId }) => participantId),
  );
  return metadata.participants.filter(({ id }) => ids.has(id));
}

function toParty(participant: Participant): Party {
  return { role: toRole(participant.role), name: participant.name, uri: participant.aor };
}

/** Only what the peer says outright; routing rules will say more where they are configured. */
function toRole(role: string | undefined): LegRole {
  const lower = role?.toLowerCase();
  return lower === 'agent' || lower === 'customer' || lower === 'mixed' ? lower : 'unknown';
}
