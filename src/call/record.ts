import type { CallId, LegId } from '../ids.ts';
import type { CallDirection } from '../sip/call-direction.ts';
import type { DialogEnd } from '../sip/dialog-user.ts';
import type { CallIdentifier } from '../sip/identifiers.ts';
import type { PartyMapping } from '../sip/parties.ts';
import type { LegRole } from '../sip/role-rules.ts';

/**
 * A call as it stands, whole: every job about a call carries all of it with a growing `revision`, so that jobs
 * may repeat or overtake each other and the newest still wins.
 */
export interface CallRecord {
  readonly id: CallId;
  /** 1, 2, 3 …; a higher revision replaces a lower one. */
  readonly revision: number;
  /** `complete` is not here: only the store knows when every final sentence is in. */
  readonly state: 'active' | 'finishing' | 'failed';
  readonly sipCallId: string;
  readonly tenant: string;
  readonly direction: CallDirection;
  readonly mapping: PartyMapping;
  /** The INVITE's arrival. */
  readonly startedAt: Date;
  readonly answeredAt: Date | undefined;
  readonly endedAt: Date | undefined;
  readonly endReason: EndReason | undefined;
  /** What the peer told about the call beside the identifiers, with its history; JSON. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly identifiers: readonly CallIdentifier[];
  readonly legs: readonly LegRecord[];
}

/**
 * `voicemail`: by us, when the message was over; `drained`: by us, at shutdown; `replaced`: by another dialog (RFC 3891);
 * `recovered`: its process died, and another one finished it.
 */
export type EndReason = DialogEnd | 'voicemail' | 'drained' | 'replaced' | 'recovered';

export interface LegRecord {
  readonly id: LegId;
  /** 0, 1, 2 … in the order of the offer's audio lines. */
  readonly legNo: number;
  readonly label: string | undefined;
  readonly role: LegRole;
  readonly name: string | undefined;
  readonly uri: string | undefined;
  /** Why the role is what it is, and whose leg it was before; JSON, see `RoleEvidence`. */
  readonly roleEvidence: object;
  /** Undefined where the audio was never G.711, as in a recorded MP3. */
  readonly codec: 'PCMU' | 'PCMA' | undefined;
  readonly model: string;
  readonly vocabularyId: string | undefined;
  /** Wall time of the leg's first sample; undefined until a packet came. */
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  /** Counters of the leg's media; JSON. Undefined until the leg has ended. */
  readonly media: Readonly<Record<string, unknown>> | undefined;
  /** How many final sentences the leg gave; undefined until the leg has ended. */
  readonly sentenceCount: number | undefined;
}

/** Something that happened in a call and that a reader of the transcript may want to know. */
export interface CallEvent {
  readonly callId: CallId;
  readonly legId: LegId | undefined;
  /** 1, 2, 3 … within the call. */
  readonly eventNo: number;
  readonly at: Date;
  /** Such as `asr_failed`, `metadata_malformed`, `media_malformed`, `reinvite`. */
  readonly kind: string;
  readonly detail: Readonly<Record<string, unknown>>;
}
