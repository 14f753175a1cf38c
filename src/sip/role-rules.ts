import type { CallDirection } from './call-direction.ts';
import type { HeaderLine } from './identifiers.ts';
import { extensionOf } from './metadata-extensions.ts';
import type { LineParty } from './parties.ts';
import { userOf } from './uri-user.ts';

/** `mixed` and `unknown` are honest answers, not faults. */
export type LegRole = 'agent' | 'customer' | 'mixed' | 'unknown';
export type PartyRole = 'agent' | 'customer';

/**
 * How to tell the agent from the customer. Rules are asked in their order, each for every leg that has no role
 * yet; the first that answers for a leg wins.
 */
export type RoleRule =
  /** An extension of the participant says the role outright, or holds an agent's id. */
  | { readonly kind: 'stated' }
  /** An extension of the participant, by local name, whose text matches. */
  | {
      readonly kind: 'extension';
      readonly name: string;
      readonly matches?: RegExp | undefined;
      readonly role: PartyRole;
    }
  /** A header of the INVITE holds the number, name or id of the participant. */
  | { readonly kind: 'header'; readonly name: string; readonly role: PartyRole }
  /** The address matches: a number, a pattern of numbers, a domain. */
  | { readonly kind: 'address'; readonly matches: RegExp; readonly role: PartyRole }
  /** The user part of the address is one of these extensions. */
  | { readonly kind: 'agent-numbers'; readonly numbers: readonly string[] }
  /** The near end of a recorded phone is the agent, the far end the customer. */
  | { readonly kind: 'near-end' }
  /** Of an inbound call the calling party is the customer, of an outbound one the called party. */
  | { readonly kind: 'direction' }
  /** The label itself, or its rank among the call's labels. Labels mean something else with every vendor. */
  | { readonly kind: 'label'; readonly label: string; readonly role: PartyRole }
  | { readonly kind: 'label-rank'; readonly rank: 'lowest' | 'highest'; readonly role: PartyRole }
  /** The n-th audio line, from 0. */
  | { readonly kind: 'position'; readonly position: number; readonly role: PartyRole }
  /** Of two legs, the one without a role is the opposite of the other. */
  | { readonly kind: 'other-party' };

/** What does not depend on a site: only what is said outright. */
export const DEFAULT_ROLE_RULES: readonly RoleRule[] = [
  { kind: 'stated' },
  { kind: 'near-end' },
  { kind: 'direction' },
];

export interface RoleFacts {
  /** The legs in the order of the offer. */
  readonly legs: readonly { readonly label: string | undefined; readonly party: LineParty }[];
  readonly direction: CallDirection;
  /** Number of the calling party, where metadata tells it. */
  readonly callingNumber: string | undefined;
  readonly headers: readonly HeaderLine[];
}

/**
 * A leg's role and why: which rule answered (`none` where none did; `operator`: somebody said so) and what it saw.
 */
export interface RoleVerdict {
  readonly role: LegRole;
  readonly rule: RoleRule['kind'] | 'mixed' | 'none' | 'operator';
  readonly saw: string | undefined;
}

type Answer = Pick<RoleVerdict, 'role' | 'saw'>;

/** Asks the rules for every leg. Pure: the same facts and other rules label a stored call again. */
export function assignRoles(rules: readonly RoleRule[], facts: RoleFacts): readonly RoleVerdict[] {
  const verdicts: (RoleVerdict | undefined)[] = facts.legs.map(({ party }) =>
    party.mixed
      ? { role: 'mixed', rule: 'mixed', saw: `${party.participantIds.length} participants` }
      : undefined,
  );
  for (const rule of rules) {
    const answers = facts.legs.map((_leg, index) =>
      verdicts[index] === undefined ? ask(rule, facts, index, verdicts) : undefined,
    );
    for (const [index, answer] of answers.entries()) {
      if (answer !== undefined) verdicts[index] = { ...answer, rule: rule.kind };
    }
  }
  return verdicts.map((verdict) => verdict ?? { role: 'unknown', rule: 'none', saw: undefined });
}

function ask(
  rule: RoleRule,
  facts: RoleFacts,
  index: number,
  verdicts: readonly (RoleVerdict | undefined)[],
): Answer | undefined {
  const leg = facts.legs[index];
  if (leg === undefined) return undefined;
  const { party, label } = leg;
  switch (rule.kind) {
    case 'stated':
      return askStated(party);
    case 'extension': {
      const text = extensionOf(party.extensions, rule.name.toLowerCase());
      if (text === undefined || rule.matches?.test(text) === false) return undefined;
      return { role: rule.role, saw: text };
    }
    case 'header': {
      const values = facts.headers.filter(({ name }) => name === rule.name.toLowerCase());
      const found = values.find(({ value }) => names(party, value));
      return found === undefined ? undefined : { role: rule.role, saw: found.value };
    }
    case 'address':
      return party.uri !== undefined && (rule.matches.test(party.uri) || rule.matches.test(userOf(party.uri)))
        ? { role: rule.role, saw: party.uri }
        : undefined;
    case 'agent-numbers':
      return party.uri !== undefined && rule.numbers.includes(userOf(party.uri))
        ? { role: 'agent', saw: party.uri }
        : undefined;
    case 'near-end':
      if (party.end === undefined) return undefined;
      return { role: party.end === 'near' ? 'agent' : 'customer', saw: `${party.end} end` };
    case 'direction':
      return askDirection(facts, party);
    case 'label':
      return label === rule.label ? { role: rule.role, saw: label } : undefined;
    case 'label-rank':
      return label !== undefined && label === labelAt(facts, rule.rank)
        ? { role: rule.role, saw: label }
        : undefined;
    case 'position':
      return index === rule.position ? { role: rule.role, saw: `line ${index}` } : undefined;
    case 'other-party': {
      const other = facts.legs.length === 2 ? verdicts[1 - index]?.role : undefined;
      if (other !== 'agent' && other !== 'customer') return undefined;
      return { role: other === 'agent' ? 'customer' : 'agent', saw: `the other leg is the ${other}` };
    }
  }
}

function askStated({ extensions }: LineParty): Answer | undefined {
  const role = extensionOf(extensions, 'role') ?? extensionOf(extensions, 'participantrole');
  const said = role?.toLowerCase();
  if (said === 'agent' || said === 'customer') return { role: said, saw: `role ${said}` };
  if (said === 'mixed') return { role: 'mixed', saw: 'role mixed' };
  const agentId = extensionOf(extensions, 'agentid') ?? extensionOf(extensions, 'agent-id');
  return agentId === undefined ? undefined : { role: 'agent', saw: `agent id ${agentId}` };
}

/** Which one called is told by an extension of the participant, or by the calling number. */
function askDirection(facts: RoleFacts, party: LineParty): Answer | undefined {
  const { direction, callingNumber } = facts;
  if (direction === 'unknown') return undefined;
  const flag = extensionOf(party.extensions, 'callingparty')?.toLowerCase();
  const byNumber =
    callingNumber !== undefined && facts.legs.some((leg) => hasNumber(leg.party, callingNumber))
      ? hasNumber(party, callingNumber)
      : undefined;
  const called = flag === 'true' ? true : flag === 'false' ? false : byNumber;
  if (called === undefined) return undefined;
  const role = called === (direction === 'outbound') ? 'agent' : 'customer';
  return { role, saw: `${called ? 'calling' : 'called'} party of an ${direction} call` };
}

function hasNumber(party: LineParty, number: string): boolean {
  return party.uri !== undefined && userOf(party.uri) === userOf(number);
}

function names({ uri, name, participantIds }: LineParty, value: string): boolean {
  const wanted = value.trim().toLowerCase();
  if (wanted === '') return false;
  return (
    (uri !== undefined && [uri, userOf(uri)].some((text) => text.toLowerCase() === wanted)) ||
    name?.toLowerCase() === wanted ||
    participantIds.some((id) => id.toLowerCase() === wanted)
  );
}

/** By value where all are numbers, by letters otherwise. */
function labelAt(facts: RoleFacts, rank: 'lowest' | 'highest'): string | undefined {
  const labels = facts.legs.flatMap(({ label }) => label ?? []);
  if (labels.length < 2) return undefined;
  const numeric = labels.every((label) => /^\d+$/.test(label));
  const sorted = labels.toSorted((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : a > b ? 1 : 0));
  return rank === 'lowest' ? sorted[0] : sorted.at(-1);
}
