import { type CallDirection, callingNumberOf, directionOf } from '../sip/call-direction.ts';
import { type CallIdentifier, type HeaderLine, IdentifierSet, readHeaderLines } from '../sip/identifiers.ts';
import type { RequestContent, RequestText } from '../sip/invite.ts';
import { type MetadataChange, MetadataHistory } from '../sip/metadata-history.ts';
import {
  isWeaker,
  type LineParty,
  matchParties,
  type PartyLine,
  type PartyMapping,
  UNKNOWN_PARTY,
  weakestMapping,
} from '../sip/parties.ts';
import {
  assignRoles,
  type LegRole,
  type PartyRole,
  type RoleRule,
  type RoleVerdict,
} from '../sip/role-rules.ts';
import type { Participant } from '../sip/rs-metadata.ts';
import { readSignalledParties, type SignalledParty } from '../sip/signalled-parties.ts';

/** Who speaks on a leg now, and why we think so. */
export interface Party {
  readonly role: LegRole;
  readonly name: string | undefined;
  readonly uri: string | undefined;
  readonly evidence: RoleEvidence;
}

/** Stored with the leg, so that a role can be checked, and given again by other rules. JSON. */
export interface RoleEvidence extends PartyFacts {
  /** Who the leg belonged to before and since when, oldest first; the last entry is the present one. */
  readonly history: readonly (PartyFacts & {
    readonly since: Date;
    readonly role: LegRole;
    readonly name: string | undefined;
    readonly uri: string | undefined;
  })[];
}

interface PartyFacts {
  readonly mapping: PartyMapping;
  readonly participantIds: readonly string[];
  readonly rule: RoleVerdict['rule'];
  readonly saw: string | undefined;
  /** When somebody said so; undefined where rules did. */
  readonly setAt?: Date | undefined;
}

/** A role that somebody gave a leg. */
interface SetRole {
  readonly verdict: RoleVerdict;
  readonly setAt: Date;
}

/** A leg as parties are assigned to it. */
export interface PartyLeg extends PartyLine {
  /** Tells legs of the call apart. */
  readonly legNo: number;
}

/** What readers of the call may want to know; an event of the call or, with a leg number, of a leg. */
export interface PartyEvent {
  readonly kind:
    'participant_joined' | 'participant_left' | 'participant_renamed' | 'party_changed' | 'hold' | 'resume';
  readonly at: Date;
  readonly legNo: number | undefined;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface CallPartiesOptions {
  /** The INVITE that made the call. */
  readonly request: RequestText;
  /** Whether the INVITE came from a recording client rather than from a caller. */
  readonly recording: boolean;
  readonly roleRules: readonly RoleRule[];
}

/** Changes of party kept per leg; the oldest stay, so that it can be told who the leg belonged to at first. */
const HISTORY_MAX = 64;

export const NO_PARTY: Party = {
  role: 'unknown',
  name: undefined,
  uri: undefined,
  evidence: { mapping: 'none', participantIds: [], rule: 'none', saw: undefined, history: [] },
};

/**
 * What a call knows of its people: who they are, on which leg each speaks, who is the agent, and by which ids
 * the call is known elsewhere. No clock and no socket: moments are handed in.
 */
export class CallParties {
  readonly #options: CallPartiesOptions;
  readonly #headers: readonly HeaderLine[];
  #signalled: readonly SignalledParty[];
  readonly #history = new MetadataHistory();
  readonly #identifiers = new IdentifierSet();
  readonly #lineParties = new Map<number, LineParty>();
  readonly #parties = new Map<number, Party>();
  readonly #setRoles = new Map<number, SetRole>();
  /** Told by the metadata, and not yet turned into events: that needs the legs. */
  #pending: MetadataChange[] = [];
  #mapping: PartyMapping = 'none';

  constructor(options: CallPartiesOptions) {
    this.#options = options;
    this.#headers = readHeaderLines(options.request.raw);
    this.#signalled = readSignalledParties(this.#headers);
  }

  /** Takes over what a request says; `assign` tells what that means for the legs. */
  learn(content: Pick<RequestContent, 'metadata' | 'identifiers' | 'signalled'>, at: Date): void {
    this.#identifiers.add(content.identifiers);
    // Within a dialog the From says nothing new; what names the lines one by one does.
    const named = content.signalled.filter(({ lineIndex }) => lineIndex !== undefined);
    if (named.length > 0) this.#signalled = named;
    if (content.metadata !== undefined) this.#pending.push(...this.#history.apply(content.metadata, at));
  }

  /** Gives every leg its party anew. @param legs those that stand, in the order of the offer */
  assign(legs: readonly PartyLeg[], at: Date): readonly PartyEvent[] {
    const changes = this.#pending.splice(0);
    // Before the assignment: who sent a stream last is the one whose leg is held.
    const told = changes.map((change) => this.#toEvent(change, legs));
    const lineParties = matchParties(this.#history.current, this.#signalled, legs).map((found, index) =>
      this.#stronger(legs[index]?.legNo ?? -1, found),
    );
    const verdicts = assignRoles(this.#options.roleRules, {
      legs: legs.map(({ label }, index) => ({ label, party: lineParties[index] ?? UNKNOWN_PARTY })),
      direction: this.direction,
      callingNumber: callingNumberOf(this.#history.extensions),
      headers: this.#headers,
    });
    const changed = legs.flatMap(
      (leg, index) => this.#give(leg.legNo, lineParties[index], verdicts[index], at) ?? [],
    );
    this.#mapping = weakestMapping(lineParties.map(({ mapping }) => mapping));
    return [...told, ...changed];
  }

  /** Whether a leg of this dialog has the number. */
  knows(legNo: number): boolean {
    return this.#parties.has(legNo);
  }

  /**
   * Somebody knows better than the rules, for the rest of the call.
   *
   * @param by who it was
   * @returns the event, where that changes the role
   */
  setRole(legNo: number, role: PartyRole, by: string, at: Date): PartyEvent | undefined {
    this.#setRoles.set(legNo, { verdict: { role, rule: 'operator', saw: by }, setAt: at });
    return this.#give(legNo, this.#lineParties.get(legNo), undefined, at);
  }

  partyOf(legNo: number): Party {
    return this.#parties.get(legNo) ?? NO_PARTY;
  }

  /** How parties were matched, by the weakest of the legs. */
  get mapping(): PartyMapping {
    return this.#mapping;
  }

  get direction(): CallDirection {
    return directionOf({
      recording: this.#options.recording,
      extensions: this.#history.extensions,
      headers: this.#headers,
    });
  }

  get identifiers(): readonly CallIdentifier[] {
    return this.#identifiers.all;
  }

  /** The metadata's whole history, for the call's row; JSON. */
  get record(): Readonly<Record<string, unknown>> {
    return { kind: this.#options.recording ? 'siprec' : 'plain', ...this.#history.toRecord() };
  }

  /** Weaker evidence does not replace stronger, as long as that still holds: who is on hold still is who they are. */
  #stronger(legNo: number, found: LineParty): LineParty {
    const known = this.#lineParties.get(legNo);
    const holds =
      known !== undefined &&
      isWeaker(found.mapping, known.mapping) &&
      (found.mapping === 'none' ||
        known.mapping === 'signalled' ||
        known.participantIds.every((id) => this.#history.isPresent(id)));
    const party = holds ? this.#refreshed(known) : found;
    this.#lineParties.set(legNo, party);
    return party;
  }

  /** The same participant, under the name that they have now. */
  #refreshed(known: LineParty): LineParty {
    const [id] = known.participantIds;
    const participant = this.#history.current.participants.find((each) => each.id === id);
    if (known.mixed || participant === undefined) return known;
    return { ...known, name: participant.name, uri: participant.aor, extensions: participant.extensions };
  }

  /** @returns the event, where the leg belonged to another before */
  #give(
    legNo: number,
    line: LineParty | undefined,
    found: RoleVerdict | undefined,
    at: Date,
  ): PartyEvent | undefined {
    const { verdict = found, setAt } = this.#setRoles.get(legNo) ?? {};
    if (line === undefined || verdict === undefined) return undefined;
    const before = this.#parties.get(legNo);
    const { role, rule, saw } = verdict;
    const { mapping, participantIds, name, uri } = line;
    const facts: PartyFacts = {
      mapping,
      participantIds,
      rule,
      saw,
      ...(setAt === undefined ? {} : { setAt }),
    };
    const same =
      before !== undefined &&
      before.role === role &&
      before.name === name &&
      before.uri === uri &&
      before.evidence.participantIds.join('\n') === participantIds.join('\n');
    const entry = { since: at, role, name, uri, ...facts };
    const history = before?.evidence.history ?? [];
    const kept = same || history.length === HISTORY_MAX ? history : [...history, entry];
    this.#parties.set(legNo, { role, name, uri, evidence: { ...facts, history: kept } });
    if (same || before === undefined) return undefined;
    return {
      kind: 'party_changed',
      at,
      legNo,
      detail: {
        before: { role: before.role, name: before.name, uri: before.uri },
        role,
        name,
        uri,
        mapping,
        rule,
      },
    };
  }

  #toEvent(change: MetadataChange, legs: readonly PartyLeg[]): PartyEvent {
    switch (change.kind) {
      case 'joined':
      case 'left':
      case 'renamed':
        return {
          kind: `participant_${change.kind}`,
          at: change.at,
          legNo: undefined,
          detail: toDetail(change.participant),
        };
      case 'held':
      case 'resumed': {
        const { at, label, streamId, participantIds } = change;
        const leg =
          legs.find((each) => label !== undefined && each.label === label) ??
          legs.find((each) => this.#belongsToOneOf(each.legNo, participantIds));
        return {
          kind: change.kind === 'held' ? 'hold' : 'resume',
          at,
          legNo: leg?.legNo,
          detail: { cause: 'metadata', streamId, participantIds },
        };
      }
    }
  }

  #belongsToOneOf(legNo: number, participantIds: readonly string[]): boolean {
    const ids = this.#parties.get(legNo)?.evidence.participantIds ?? [];
    return ids.some((id) => participantIds.includes(id));
  }
}

function toDetail({ id, name, aor }: Participant): Readonly<Record<string, unknown>> {
  return { participantId: id, name, uri: aor };
}
