import type { Extensions } from './metadata-extensions.ts';
import type { MetadataView } from './metadata-history.ts';
import type { Participant } from './rs-metadata.ts';
import type { SignalledParty } from './signalled-parties.ts';

/**
 * How a participant was matched to a line, strongest evidence first: who sends the line's stream by the
 * metadata; what the INVITE's headers say; who alone receives the other line's stream; the order of both lists;
 * `none` where nothing told.
 */
export type PartyMapping = 'metadata' | 'signalled' | 'receiver' | 'positional' | 'none';

/** An audio line that parties are looked for. */
export interface PartyLine {
  /** The m-line's position in the offer, from 0. */
  readonly index: number;
  readonly label: string | undefined;
  /** i= of the line, where some peers without metadata put the id of its party. */
  readonly information?: string | undefined;
}

/** Who speaks on one line, as far as it was told; the role is another question (`role-rules.ts`). */
export interface LineParty {
  readonly mapping: PartyMapping;
  /** More than one on a mixed line, none where nobody is known. */
  readonly participantIds: readonly string[];
  /** Several people on one line: no name is the right one. */
  readonly mixed: boolean;
  readonly name: string | undefined;
  readonly uri: string | undefined;
  readonly extensions: Extensions;
  readonly end: SignalledParty['end'];
}

const STRENGTH: readonly PartyMapping[] = ['metadata', 'signalled', 'receiver', 'positional', 'none'];

export const UNKNOWN_PARTY: LineParty = {
  mapping: 'none',
  participantIds: [],
  mixed: false,
  name: undefined,
  uri: undefined,
  extensions: {},
  end: undefined,
};

/** The weaker of them: what a call says of all its lines. `none` for no line. */
export function weakestMapping(mappings: readonly PartyMapping[]): PartyMapping {
  return STRENGTH[Math.max(...mappings.map((mapping) => STRENGTH.indexOf(mapping)))] ?? 'none';
}

export function isWeaker(mapping: PartyMapping, than: PartyMapping): boolean {
  return STRENGTH.indexOf(mapping) > STRENGTH.indexOf(than);
}

/**
 * Matches participants to audio lines, by the first evidence that works (see {@link PartyMapping}). Two senders
 * of one stream, a stream of mode `mixed`, and a single line for several people make a mixed line.
 *
 * @param lines the audio lines that have a leg, in the order of the offer
 * @returns in the order of `lines`
 */
export function matchParties(
  view: MetadataView,
  signalled: readonly SignalledParty[],
  lines: readonly PartyLine[],
): readonly LineParty[] {
  return lines.map(
    (line, position) =>
      bySender(view, streamOf(view, line), 'metadata') ??
      bySignalling(view, signalled, line, lines.length) ??
      byInformation(view, line) ??
      byReceiver(view, lines, position) ??
      byMonoLine(view, lines) ??
      byPosition(view, lines, position) ??
      UNKNOWN_PARTY,
  );
}

function bySender(
  view: MetadataView,
  stream: MetadataView['streams'][number] | undefined,
  mapping: PartyMapping,
): LineParty | undefined {
  if (stream === undefined) return undefined;
  const senders = participantsWhere(view, 'sends', stream.id);
  const [sender] = senders;
  if (sender === undefined) return undefined;
  if (senders.length > 1 || stream.mode === 'mixed') return mixedParty(senders, mapping);
  return toParty(sender, mapping);
}

/** Headers name the lines one by one, or speak of the only line of a call without metadata. */
function bySignalling(
  view: MetadataView,
  signalled: readonly SignalledParty[],
  line: PartyLine,
  lineCount: number,
): LineParty | undefined {
  const named = signalled.filter(({ lineIndex }) => lineIndex === line.index);
  const ofTheOnlyLine = lineCount === 1 && view.participants.length === 0 ? signalled : [];
  const found = named.length > 0 ? named : ofTheOnlyLine.filter(({ lineIndex }) => lineIndex === undefined);
  const [party] = found;
  if (party === undefined) return undefined;
  const participantIds = found.flatMap(({ uri }) => uri ?? []);
  if (found.length > 1) return { ...UNKNOWN_PARTY, mapping: 'signalled', mixed: true, participantIds };
  const { name, uri, end } = party;
  return { ...UNKNOWN_PARTY, mapping: 'signalled', participantIds, name, uri, end };
}

/** Only where there is no metadata: beside it the line is described, not its party. */
function byInformation(view: MetadataView, { information }: PartyLine): LineParty | undefined {
  if (information === undefined || view.participants.length > 0) return undefined;
  return { ...UNKNOWN_PARTY, mapping: 'signalled', participantIds: [information], uri: information };
}

function byReceiver(
  view: MetadataView,
  lines: readonly PartyLine[],
  position: number,
): LineParty | undefined {
  const other = lines.length === 2 ? lines[1 - position] : undefined;
  const stream = other === undefined ? undefined : streamOf(view, other);
  const receivers = stream === undefined ? [] : participantsWhere(view, 'receives', stream.id);
  return receivers.length === 1 && receivers[0] !== undefined ? toParty(receivers[0], 'receiver') : undefined;
}

/** One line for the streams of several people: whatever its label is, they all speak on it. */
function byMonoLine(view: MetadataView, lines: readonly PartyLine[]): LineParty | undefined {
  if (lines.length !== 1 || view.participants.length < 2) return undefined;
  return mixedParty(view.participants, 'positional');
}

/** Labels of the metadata and of the lines may have nothing in common; the order of both still tells. */
function byPosition(
  view: MetadataView,
  lines: readonly PartyLine[],
  position: number,
): LineParty | undefined {
  const stream = view.streams.length === lines.length ? view.streams[position] : undefined;
  const sender = bySender(view, stream, 'positional');
  if (sender !== undefined) return sender;
  const participant = view.participants.length === lines.length ? view.participants[position] : undefined;
  return participant === undefined ? undefined : toParty(participant, 'positional');
}

function streamOf(view: MetadataView, { label }: PartyLine): MetadataView['streams'][number] | undefined {
  return label === undefined ? undefined : view.streams.find((stream) => stream.label === label);
}

function participantsWhere(
  view: MetadataView,
  relation: 'sends' | 'receives',
  streamId: string,
): readonly Participant[] {
  const ids = new Set(
    view.associations
      .filter((association) => association[relation].includes(streamId))
      .map(({ participantId }) => participantId),
  );
  return view.participants.filter(({ id }) => ids.has(id));
}

function toParty({ id, name, aor, extensions }: Participant, mapping: PartyMapping): LineParty {
  return { ...UNKNOWN_PARTY, mapping, participantIds: [id], name, uri: aor, extensions };
}

function mixedParty(participants: readonly Participant[], mapping: PartyMapping): LineParty {
  return { ...UNKNOWN_PARTY, mapping, mixed: true, participantIds: participants.map(({ id }) => id) };
}
