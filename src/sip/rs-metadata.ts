import { type Extensions, listExtensions, toExtensions } from './metadata-extensions.ts';
import { readToldTime, type ToldTime } from './metadata-time.ts';
import { attributeOf, childrenOf, readMetadataXml, textOf, type XmlElement } from './metadata-xml.ts';

/**
 * What a recording client tells about who speaks on which line (RFC 7865). Ids are opaque. Times are as told
 * until somebody knows when the document arrived (`settleTimes`).
 */
export interface RecordingMetadata<Time = ToldTime> {
  /** `complete` replaces what was known, `partial` adds to it. */
  readonly dataMode: 'complete' | 'partial';
  readonly participants: readonly Participant[];
  readonly streams: readonly MediaStream[];
  /** Who sends and who receives which stream. */
  readonly associations: readonly StreamAssociation<Time>[];
  /** Who belongs to which communication session since when. */
  readonly memberships: readonly Membership<Time>[];
  readonly sessions: readonly CommunicationSession<Time>[];
  readonly groupIds: readonly string[];
  /** What vendors tell about the call as a whole: extensions of the recording, its groups and sessions. */
  readonly extensions: Extensions;
  /** The same, each of them, also where a name comes more than once. */
  readonly extensionList: readonly (readonly [key: string, text: string])[];
  /** Whether the text had to be mended before it could be read. */
  readonly repaired: boolean;
}

export interface Participant {
  /** As told; where none was told, what else tells one from another: address, name, position. */
  readonly id: string;
  readonly name: string | undefined;
  readonly aor: string | undefined;
  readonly extensions: Extensions;
}

export interface MediaStream {
  /** As told; where none was told, one that no association can name. */
  readonly id: string;
  readonly label: string | undefined;
  readonly mode: 'mixed' | 'separate' | undefined;
}

export interface StreamAssociation<Time = ToldTime> {
  readonly participantId: string;
  readonly sends: readonly string[];
  readonly receives: readonly string[];
  readonly associatedAt: Time | undefined;
  readonly disassociatedAt: Time | undefined;
}

export interface Membership<Time = ToldTime> {
  readonly participantId: string;
  readonly sessionId: string;
  readonly associatedAt: Time | undefined;
  readonly disassociatedAt: Time | undefined;
}

export interface CommunicationSession<Time = ToldTime> {
  readonly id: string;
  /** RFC 7989: `local;remote=…`. */
  readonly sipSessionId: string | undefined;
  readonly reason: string | undefined;
  readonly startedAt: Time | undefined;
  readonly stoppedAt: Time | undefined;
}

/** Of each kind of element; a conference has some dozens of participants. */
const ELEMENTS_MAX = 128;
const TEXT_CHARACTERS_MAX = 256;

/** Children of the dialects that are no extension, by local name in lower case. */
const KNOWN_OF_RECORDING = new Set([
  'datamode',
  'group',
  'session',
  'participant',
  'stream',
  'participantsessionassoc',
  'sessionrecordingassoc',
  'participantstreamassoc',
]);
const KNOWN_OF_GROUP = new Set(['associate-time', 'disassociate-time', 'session', 'group-ref', 'initiator']);
const KNOWN_OF_SESSION = new Set(['sipsessionid', 'reason', 'group-ref', 'start-time', 'stop-time']);
const KNOWN_OF_PARTICIPANT = new Set(['nameid', 'name', 'aor', 'send', 'recv', 'session']);

/**
 * Reads recording metadata by local names, whatever the prefix, namespace or dialect: RFC 7865 proper, the
 * older `recording_metadata` root, inline `<send>` within a participant, and associations left out.
 *
 * @throws {CallscribeError} METADATA_MALFORMED, see `readMetadataXml`; the call goes on without it
 */
export function readMetadata(text: string): RecordingMetadata {
  const { root, repaired } = readMetadataXml(text);
  const elements = (name: string): readonly XmlElement[] => childrenOf(root, name).slice(0, ELEMENTS_MAX);
  const times = (element: XmlElement): Pick<Membership, 'associatedAt' | 'disassociatedAt'> => ({
    associatedAt: readToldTime(textOf(element, 'associate-time')),
    disassociatedAt: readToldTime(textOf(element, 'disassociate-time')),
  });
  const sessions = elements('session');
  const participants = elements('participant').map((element, index) => ({
    element,
    participant: readParticipant(element, index, root),
  }));
  const extensionList = [
    ...sessions.flatMap((element) => listExtensions(element, KNOWN_OF_SESSION)),
    ...elements('group').flatMap((element) => listExtensions(element, KNOWN_OF_GROUP)),
    ...listExtensions(root, KNOWN_OF_RECORDING),
  ].slice(0, ELEMENTS_MAX);

  return {
    dataMode: textOf(root, 'datamode')?.toLowerCase() === 'partial' ? 'partial' : 'complete',
    participants: participants.map(({ participant }) => participant),
    streams: elements('stream').map((element, index) => ({
      id: idOf(element, 'stream_id') ?? `#${index + 1}`,
      label: cut(textOf(element, 'label')),
      mode: readMode(textOf(element, 'mode')),
    })),
    associations: [
      ...elements('participantstreamassoc').map((element) => ({
        participantId: idOf(element, 'participant_id') ?? '',
        ...readStreams(element),
        ...times(element),
      })),
      ...participants
        .filter(({ element }) => childrenOf(element, 'send', 'recv').length > 0)
        .map(({ element, participant }) => ({
          participantId: participant.id,
          ...readStreams(element),
          ...times(element),
        })),
    ],
    memberships: elements('participantsessionassoc').map((element) => ({
      participantId: idOf(element, 'participant_id') ?? '',
      sessionId: cut(attributeOf(element, 'session_id', 'session')) ?? '',
      ...times(element),
    })),
    sessions: sessions.map((element) => ({
      id: idOf(element, 'session_id') ?? '',
      sipSessionId: textOf(element, 'sipsessionid'),
      reason: cut(textOf(element, 'reason')),
      startedAt: readToldTime(textOf(element, 'start-time')),
      stoppedAt: readToldTime(textOf(element, 'stop-time')),
    })),
    groupIds: elements('group').flatMap((element) => idOf(element, 'group_id') ?? []),
    extensions: toExtensions(extensionList),
    extensionList,
    repaired,
  };
}

function readParticipant(element: XmlElement, index: number, root: XmlElement): Participant {
  const [nameId] = childrenOf(element, 'nameid');
  const name = cut(nameId === undefined ? textOf(element, 'name') : textOf(nameId, 'name'));
  const aor = readAor(nameId?.attributes.get('aor') || textOf(element, 'aor'));
  const id = idOf(element, 'participant_id');
  // An older draft puts extensions beside the participant and names it as their parent.
  const beside = childrenOf(root, 'extensiondata').filter(
    ({ attributes }) => id !== undefined && attributes.get('parent') === id,
  );
  return {
    id: id ?? aor ?? name ?? `#${index + 1}`,
    name,
    aor,
    extensions: toExtensions(
      [element, ...beside].flatMap((each) => listExtensions(each, KNOWN_OF_PARTICIPANT)),
    ),
  };
}

/** Some clients leave the scheme out; a number alone stays a number. */
function readAor(text: string | undefined): string | undefined {
  const aor = cut(text?.trim());
  return aor !== undefined && /^[^:@\s]+@/.test(aor) ? `sip:${aor}` : aor;
}

function readStreams(element: XmlElement): Pick<StreamAssociation, 'sends' | 'receives'> {
  const ids = (name: string): string[] =>
    childrenOf(element, name)
      .slice(0, ELEMENTS_MAX)
      .flatMap((child) => cut(child.text || textOf(child, 'id', 'stream_id')) ?? []);
  return { sends: ids('send'), receives: ids('recv') };
}

function readMode(text: string | undefined): MediaStream['mode'] {
  const mode = text?.toLowerCase();
  return mode === 'mixed' || mode === 'separate' ? mode : undefined;
}

function idOf(element: XmlElement, name: string): string | undefined {
  return cut(attributeOf(element, name, 'id'));
}

function cut(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text.slice(0, TEXT_CHARACTERS_MAX);
}
