import type { CallId } from '../ids.ts';
import type { CallView, LiveItem } from './items.ts';

/** The channel of the bus that all of it goes over. */
export const LIVE_CHANNEL = 'live';

/** What goes over the bus: an item with what filters ask of its call; or that rows of a call are worth reading. */
export type LiveMessage =
  { readonly call: CallContext; readonly item: LiveItem } | { readonly rowsOf: CallId };

/** What is needed of a call to tell who follows it. */
export interface CallContext {
  readonly id: CallId;
  readonly tenant: string;
  readonly state: CallView['state'];
  /** Names and users of the addresses of its agents. */
  readonly agents: readonly string[];
}

/** @returns undefined where it is none, such as one of another version of this program */
export function readLiveMessage(text: string): LiveMessage | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof message !== 'object' || message === null) return undefined;
  if ('rowsOf' in message && typeof message.rowsOf === 'string') return message as LiveMessage;
  if (!('item' in message && 'call' in message)) return undefined;
  const { item, call } = message;
  const isWhole =
    typeof item === 'object' && item !== null && 'type' in item && typeof call === 'object' && call !== null;
  return isWhole ? (message as LiveMessage) : undefined;
}

export function contextOf({ call_id: id, tenant, state, legs }: CallView): CallContext {
  const agents = legs.flatMap(({ role, name, uri }) => {
    if (role !== 'agent') return [];
    const user = /^(?:sips?|tel):([^@;>]+)/i.exec(uri ?? '')?.[1];
    return [name, user].filter((text) => text != null);
  });
  return { id: id as CallId, tenant: tenant ?? '', state, agents };
}

/** Which calls, and which legs of them, a subscriber wants; what is left out does not matter. */
export interface LiveFilter {
  readonly tenant: string | undefined;
  /** Name of an agent, or the user of their address. */
  readonly agent: string | undefined;
  /** Sentences of legs with that role only. */
  readonly role: string | undefined;
  /** In which a call is taken up; it is followed from there to its end. */
  readonly state: string | undefined;
}

export const NO_FILTER: LiveFilter = {
  tenant: undefined,
  agent: undefined,
  role: undefined,
  state: undefined,
};

export function takesUp({ tenant, agent, state }: LiveFilter, call: CallContext): boolean {
  return (
    (tenant === undefined || call.tenant === tenant) &&
    (agent === undefined || call.agents.includes(agent)) &&
    (state === undefined || call.state === state)
  );
}

export function wants({ role }: LiveFilter, item: LiveItem): boolean {
  if (role === undefined) return true;
  return item.type === 'call' || item.type === 'call.event' || item.data.role === role;
}
