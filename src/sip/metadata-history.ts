import type { Extensions } from './metadata-extensions.ts';
import { settleTimes } from './metadata-time.ts';
import type {
  CommunicationSession,
  MediaStream,
  Membership,
  Participant,
  RecordingMetadata,
  StreamAssociation,
} from './rs-metadata.ts';

/** Something that a metadata document told and that was not so before. */
export type MetadataChange =
  | { readonly kind: 'joined'; readonly at: Date; readonly participant: Participant }
  | { readonly kind: 'left'; readonly at: Date; readonly participant: Participant }
  | { readonly kind: 'renamed'; readonly at: Date; readonly participant: Participant }
  /** Nobody sends the stream any more, though those who did are still there (RFC 7866's way to hold). */
  | ({ readonly kind: 'held' | 'resumed'; readonly at: Date } & StreamChange);

export interface StreamChange {
  readonly streamId: string;
  readonly label: string | undefined;
  /** Who sent it last (held) or sends it now (resumed). */
  readonly participantIds: readonly string[];
}

/** Who is there and sends what, as the newest document and those before it tell. */
export interface MetadataView {
  readonly participants: readonly Participant[];
  readonly streams: readonly MediaStream[];
  readonly associations: readonly Pick<StreamAssociation, 'participantId' | 'sends' | 'receives'>[];
}

/** A participant with every time that they were there. */
export interface ParticipantHistory extends Participant {
  readonly presences: readonly Interval[];
}

export interface Interval {
  readonly beganAt: Date;
  readonly endedAt: Date | undefined;
}

/** An interval through which a participant sent a stream: who spoke when. */
export interface Sending extends Interval {
  readonly participantId: string;
  readonly streamId: string;
  readonly label: string | undefined;
}

const PARTICIPANTS_MAX = 128;
const STREAMS_MAX = 128;
const SENDINGS_MAX = 1_024;
const PRESENCES_MAX = 64;

/**
 * The recording metadata of a call, as a history: a `complete` document replaces what is, a `partial` one is
 * merged into it by id, and neither takes away what was. Times are those that the documents tell, where they
 * can be used, else the document's arrival.
 *
 * Bound: 128 participants, 128 streams, 1,024 intervals of sending, 64 presences of one participant. What comes
 * beyond is not kept, and counted in `dropped`.
 */
export class MetadataHistory {
  readonly #participants = new Map<string, Participant>();
  readonly #presences = new Map<string, Interval[]>();
  readonly #present = new Set<string>();
  readonly #memberships = new Map<string, Membership<Date>>();
  readonly #streams = new Map<string, MediaStream>();
  readonly #sends = new Map<string, ReadonlySet<string>>();
  readonly #receives = new Map<string, ReadonlySet<string>>();
  readonly #sendings: Sending[] = [];
  readonly #held = new Set<string>();
  readonly #sessions = new Map<string, CommunicationSession<Date>>();
  readonly #groupIds = new Set<string>();
  #extensions: Extensions = {};
  #documents = 0;
  #repaired = 0;
  #dropped = 0;

  /** Takes a document over. @returns what it changed; nothing when it repeats what was known */
  apply(document: RecordingMetadata, arrivedAt: Date): readonly MetadataChange[] {
    const metadata = settleTimes(document, arrivedAt);
    this.#documents += 1;
    if (metadata.repaired) this.#repaired += 1;
    const before = this.#senders();
    const changes = this.#takeParticipants(metadata, arrivedAt);
    this.#takeStreams(metadata);
    this.#takeAssociations(metadata);
    this.#takeCall(metadata);
    const after = this.#senders();
    this.#keepSendings(metadata, before, after, arrivedAt);
    return [...changes, ...this.#holds(metadata, before, after, arrivedAt)];
  }

  /** Who is there now. */
  get current(): MetadataView {
    return {
      participants: [...this.#participants.values()].filter(({ id }) => this.#present.has(id)),
      streams: [...this.#streams.values()],
      associations: [...this.#present].map((participantId) => ({
        participantId,
        sends: [...(this.#sends.get(participantId) ?? [])],
        receives: [...(this.#receives.get(participantId) ?? [])],
      })),
    };
  }

  isPresent(participantId: string): boolean {
    return this.#present.has(participantId);
  }

  /** Extensions of the recording, its groups and sessions, the newest of each name. */
  get extensions(): Extensions {
    return this.#extensions;
  }

  /** Whole, for the call's row; JSON. */
  toRecord(): Readonly<Record<string, unknown>> & { readonly participants: readonly ParticipantHistory[] } {
    return {
      documents: this.#documents,
      repaired: this.#repaired,
      dropped: this.#dropped,
      groups: [...this.#groupIds],
      sessions: [...this.#sessions.values()],
      participants: [...this.#participants.values()].map((participant) => ({
        ...participant,
        presences: this.#presences.get(participant.id) ?? [],
      })),
      streams: [...this.#streams.values()],
      sendings: this.#sendings,
      extensions: this.#extensions,
    };
  }

  #takeParticipants(metadata: RecordingMetadata<Date>, arrivedAt: Date): MetadataChange[] {
    const changes: MetadataChange[] = [];
    const named = new Set(metadata.participants.map(({ id }) => id));
    if (metadata.dataMode === 'complete') this.#memberships.clear();
    for (const membership of metadata.memberships) {
      if (this.#memberships.size >= PARTICIPANTS_MAX * 2) break;
      this.#memberships.set(`${membership.participantId}\n${membership.sessionId}`, membership);
    }
    for (const participant of metadata.participants) {
      const known = this.#participants.get(participant.id);
      if (known === undefined && this.#participants.size === PARTICIPANTS_MAX) {
        this.#dropped += 1;
        continue;
      }
      const merged = merge(known, participant, metadata.dataMode);
      this.#participants.set(participant.id, merged);
      if (known !== undefined && (known.name !== merged.name || known.aor !== merged.aor)) {
        changes.push({ kind: 'renamed', at: arrivedAt, participant: merged });
      }
    }
    for (const participant of this.#participants.values()) {
      const { id } = participant;
      const memberships = [...this.#memberships.values()].filter((each) => each.participantId === id);
      const belongs = memberships.length === 0 || memberships.some(isStanding);
      const was = this.#present.has(id);
      const is =
        belongs &&
        (metadata.dataMode === 'complete'
          ? named.has(id)
          : was || named.has(id) || memberships.some((each) => metadata.memberships.includes(each)));
      if (is && !was) changes.push({ kind: 'joined', at: this.#join(id, metadata, arrivedAt), participant });
      if (!is && was) {
        changes.push({ kind: 'left', at: this.#leave(id, memberships, arrivedAt), participant });
      }
    }
    return changes;
  }

  #join(id: string, metadata: RecordingMetadata<Date>, arrivedAt: Date): Date {
    this.#present.add(id);
    const presences = this.#presences.get(id) ?? [];
    const told = [...metadata.memberships, ...metadata.associations]
      .filter((each) => each.participantId === id)
      .flatMap(({ associatedAt }) => associatedAt ?? []);
    const after = presences.at(-1)?.endedAt ?? new Date(0);
    const beganAt = earliest(told.filter((at) => at >= after)) ?? arrivedAt;
    if (presences.length === PRESENCES_MAX) this.#dropped += 1;
    else this.#presences.set(id, [...presences, { beganAt, endedAt: undefined }]);
    return beganAt;
  }

  #leave(id: string, memberships: readonly Membership<Date>[], arrivedAt: Date): Date {
    this.#present.delete(id);
    this.#sends.delete(id);
    this.#receives.delete(id);
    const presences = this.#presences.get(id) ?? [];
    const last = presences.at(-1);
    const told = latest(memberships.flatMap(({ disassociatedAt }) => disassociatedAt ?? []));
    const endedAt = told !== undefined && told >= (last?.beganAt ?? told) ? told : arrivedAt;
    if (last?.endedAt === undefined && last !== undefined) {
      this.#presences.set(id, [...presences.slice(0, -1), { ...last, endedAt }]);
    }
    return endedAt;
  }

  #takeStreams(metadata: RecordingMetadata<Date>): void {
    if (metadata.dataMode === 'complete') this.#streams.clear();
    for (const stream of metadata.streams) {
      const known = this.#streams.get(stream.id);
      if (known === undefined && this.#streams.size === STREAMS_MAX) {
        this.#dropped += 1;
        continue;
      }
      this.#streams.set(stream.id, {
        id: stream.id,
        label: stream.label ?? known?.label,
        mode: stream.mode ?? known?.mode,
      });
    }
  }

  /** An association that a document holds says all of it: a `<send>` that is left out is over. */
  #takeAssociations(metadata: RecordingMetadata<Date>): void {
    if (metadata.dataMode === 'complete') {
      this.#sends.clear();
      this.#receives.clear();
    }
    const told = new Map<string, StreamAssociation<Date>[]>();
    for (const association of metadata.associations) {
      if (!this.#present.has(association.participantId)) continue;
      const others = told.get(association.participantId) ?? [];
      told.set(association.participantId, [...others, association]);
    }
    for (const [participantId, associations] of told) {
      const standing = associations.filter(isStanding);
      this.#sends.set(participantId, new Set(standing.flatMap(({ sends }) => sends)));
      this.#receives.set(participantId, new Set(standing.flatMap(({ receives }) => receives)));
    }
  }

  #takeCall(metadata: RecordingMetadata<Date>): void {
    for (const session of metadata.sessions) {
      if (this.#sessions.size < PARTICIPANTS_MAX || this.#sessions.has(session.id)) {
        this.#sessions.set(session.id, { ...this.#sessions.get(session.id), ...defined(session) });
      }
    }
    for (const id of metadata.groupIds) if (this.#groupIds.size < PARTICIPANTS_MAX) this.#groupIds.add(id);
    const merged = Object.entries({ ...this.#extensions, ...metadata.extensions });
    this.#extensions = Object.fromEntries(merged.slice(0, PARTICIPANTS_MAX));
  }

  #senders(): ReadonlyMap<string, readonly string[]> {
    const senders = new Map<string, string[]>();
    for (const [participantId, streamIds] of this.#sends) {
      for (const streamId of streamIds) {
        senders.set(streamId, [...(senders.get(streamId) ?? []), participantId]);
      }
    }
    return senders;
  }

  #keepSendings(
    metadata: RecordingMetadata<Date>,
    before: ReadonlyMap<string, readonly string[]>,
    after: ReadonlyMap<string, readonly string[]>,
    arrivedAt: Date,
  ): void {
    for (const [index, sending] of this.#sendings.entries()) {
      const { participantId, streamId } = sending;
      if (sending.endedAt !== undefined || after.get(streamId)?.includes(participantId) === true) continue;
      const told = metadata.associations.find(
        (each) => each.participantId === participantId && each.disassociatedAt !== undefined,
      )?.disassociatedAt;
      const left = this.#presences.get(participantId)?.at(-1)?.endedAt;
      const endedAt = told ?? left ?? arrivedAt;
      this.#sendings[index] = { ...sending, endedAt: endedAt < sending.beganAt ? sending.beganAt : endedAt };
    }
    for (const [streamId, participantIds] of after) {
      for (const participantId of participantIds) {
        if (before.get(streamId)?.includes(participantId) === true) continue;
        const told = metadata.associations.find(
          (each) => each.participantId === participantId && each.sends.includes(streamId),
        )?.associatedAt;
        const label = this.#streams.get(streamId)?.label;
        const beganAt = told ?? arrivedAt;
        if (this.#sendings.length === SENDINGS_MAX) this.#dropped += 1;
        else this.#sendings.push({ participantId, streamId, label, beganAt, endedAt: undefined });
      }
    }
  }

  #holds(
    metadata: RecordingMetadata<Date>,
    before: ReadonlyMap<string, readonly string[]>,
    after: ReadonlyMap<string, readonly string[]>,
    arrivedAt: Date,
  ): MetadataChange[] {
    const changes: MetadataChange[] = [];
    const labelOf = (streamId: string): string | undefined => this.#streams.get(streamId)?.label;
    for (const [streamId, participantIds] of before) {
      const silenced = participantIds.some((id) =>
        metadata.associations.some((each) => each.participantId === id && isStanding(each)),
      );
      if (after.has(streamId) || !silenced || !participantIds.some((id) => this.#present.has(id))) continue;
      this.#held.add(streamId);
      changes.push({ kind: 'held', at: arrivedAt, streamId, label: labelOf(streamId), participantIds });
    }
    for (const [streamId, participantIds] of after) {
      if (!this.#held.delete(streamId)) continue;
      changes.push({ kind: 'resumed', at: arrivedAt, streamId, label: labelOf(streamId), participantIds });
    }
    return changes;
  }
}

function isStanding(each: Pick<Membership<Date>, 'associatedAt' | 'disassociatedAt'>): boolean {
  const { associatedAt, disassociatedAt } = each;
  return disassociatedAt === undefined || (associatedAt !== undefined && associatedAt > disassociatedAt);
}

function merge(
  known: Participant | undefined,
  told: Participant,
  dataMode: RecordingMetadata['dataMode'],
): Participant {
  if (known === undefined) return told;
  const extensions = dataMode === 'complete' ? told.extensions : { ...known.extensions, ...told.extensions };
  // A document that names a participant only by id takes neither name nor address away: they are history too.
  return { id: told.id, name: told.name ?? known.name, aor: told.aor ?? known.aor, extensions };
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}

function earliest(times: readonly Date[]): Date | undefined {
  return times.reduce<Date | undefined>(
    (best, at) => (best === undefined || at < best ? at : best),
    undefined,
  );
}

function latest(times: readonly Date[]): Date | undefined {
  return times.reduce<Date | undefined>(
    (best, at) => (best === undefined || at > best ? at : best),
    undefined,
  );
}
