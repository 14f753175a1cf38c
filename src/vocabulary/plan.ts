import type { HotWord } from '../routing/hot-words-schema.ts';
import type { FileVocabulary } from '../routing/vocabularies.ts';
import type { VocabularyLock } from '../routing/vocabulary-lock.ts';

/** A list of the account that is ours by its prefix. */
export interface OwnList {
  readonly id: string;
  readonly model: string;
  readonly words: readonly HotWord[];
  /** As the service writes it; sorts by time. */
  readonly createdAt: string;
}

export interface Account {
  readonly own: readonly OwnList[];
  /** How many lists are not ours. */
  readonly others: number;
}

/** What one list of the account is to hold; names with the same words share it. */
export interface WantedList {
  readonly names: readonly string[];
  readonly model: string;
  readonly words: readonly HotWord[];
}

export type Step =
  | { readonly kind: 'keep'; readonly id: string; readonly list: WantedList }
  | {
      readonly kind: 'update';
      readonly id: string;
      readonly list: WantedList;
      readonly before: readonly HotWord[];
    }
  | { readonly kind: 'create'; readonly list: WantedList }
  | { readonly kind: 'delete'; readonly id: string };

export interface Plan {
  /** In the order in which they are done. */
  readonly steps: readonly Step[];
  /** Why nothing of it may be done; empty: it may. */
  readonly faults: readonly string[];
}

export interface PlanOptions {
  readonly lists: ReadonlyMap<string, FileVocabulary>;
  readonly lock: VocabularyLock;
  readonly account: Account;
  /** Lists that somebody names by their ids: they stay as they are. */
  readonly namedIds: ReadonlySet<string>;
  readonly now: Date;
  /** `kept`: what nobody wants any more stays. */
  readonly unwanted: 'deleted' | 'kept';
  /** Whether the pause between two updates of a list is waited for. */
  readonly pause: 'heeded' | 'ignored';
}

/** Model Studio, "Custom hot words": lists of an account, for all models together. */
const LISTS_MAX = 10;
/** And between two updates of one list. */
const UPDATE_PAUSE_MS = 300_000;

/** What makes the account's lists equal to those of the file, at each time with as many lists as it may have. */
export function planOf(options: PlanOptions): Plan {
  const { lists, lock, account, namedIds, unwanted } = options;
  const free = new Map(
    [...account.own]
      .filter(({ id }) => !namedIds.has(id))
      .sort((a, b) => compare(a.createdAt, b.createdAt) || compare(a.id, b.id))
      .map((list) => [list.id, list]),
  );
  const protectedCount = account.own.length - free.size;
  const wanted = wantedLists(lists);
  const keeps: Step[] = [];
  const missing: WantedList[] = [];
  for (const list of wanted) {
    // Of several the oldest, so that two that made one at the same time agree.
    const same = [...free.values()].find((own) => own.model === list.model && holds(own.words, list.words));
    if (same === undefined) missing.push(list);
    else {
      keeps.push({ kind: 'keep', id: same.id, list });
      free.delete(same.id);
    }
  }
  const updates: Extract<Step, { kind: 'update' }>[] = [];
  const creates: Step[] = [];
  for (const list of missing) {
    const own = list.names
      .map((name) => free.get(lock[name]?.id ?? ''))
      .find((found) => found?.model === list.model);
    if (own === undefined) creates.push({ kind: 'create', list });
    else {
      updates.push({ kind: 'update', id: own.id, list, before: own.words });
      free.delete(own.id);
    }
  }
  const inLock = new Set(Object.values(lock).map(({ id }) => id));
  const deletes = [...free.keys()]
    .sort((a, b) => Number(inLock.has(a)) - Number(inLock.has(b)))
    .map((id): Step => ({ kind: 'delete', id }));
  const removable = unwanted === 'deleted' ? deletes : [];
  // Those in whose place others come go last, unless the account has no room for both.
  const first = Math.max(0, account.others + account.own.length + creates.length - LISTS_MAX);
  const steps = [...keeps, ...updates, ...removable.slice(0, first), ...creates, ...removable.slice(first)];
  const stay = deletes.length - removable.length;
  const count = account.others + protectedCount + wanted.length + stay;
  const faults = [...tooMany(count, creates.length, options), ...tooSoon(updates, options)];
  return { steps, faults };
}

/** One for all names that want the same. */
function wantedLists(lists: ReadonlyMap<string, FileVocabulary>): readonly WantedList[] {
  const wanted: WantedList[] = [];
  for (const { name, model, words } of lists.values()) {
    const index = wanted.findIndex((other) => other.model === model && isSame(other.words, words));
    const same = wanted[index];
    if (same === undefined) wanted.push({ names: [name], model, words });
    else wanted[index] = { ...same, names: [...same.names, name] };
  }
  return wanted;
}

const isSame = (a: readonly HotWord[], b: readonly HotWord[]): boolean => holds(a, b) && holds(b, a);

/** Whether a list of the service has these words and no others. A language that nobody named is the service's affair. */
export function holds(own: readonly HotWord[], words: readonly HotWord[]): boolean {
  if (own.length !== words.length) return false;
  const byText = new Map(own.map((word) => [word.text, word]));
  return words.every(({ text, weight, lang }) => {
    const found = byText.get(text);
    return found?.weight === weight && (lang === undefined || found.lang === lang);
  });
}

function tooMany(count: number, creates: number, { account, unwanted }: PlanOptions): readonly string[] {
  if (creates === 0 || count <= LISTS_MAX) return [];
  const kept = unwanted === 'kept' ? ', and those that nobody wants any more stay' : '';
  return [
    `the account would have ${count} lists, allowed are ${LISTS_MAX}: ${account.others} of them are not of this file${kept}`,
  ];
}

function tooSoon(
  updates: readonly Extract<Step, { kind: 'update' }>[],
  { lock, now, pause }: PlanOptions,
): readonly string[] {
  if (pause === 'ignored') return [];
  return updates.flatMap(({ id, list }) => {
    const times = list.names.map((name) => (lock[name]?.id === id ? lock[name].updatedAt : undefined));
    const updatedAtMs = Math.max(...times.map((time) => (time === undefined ? -Infinity : Date.parse(time))));
    const allowedAtMs = updatedAtMs + UPDATE_PAUSE_MS;
    // A clock that was put back must not hold it up for longer than the pause.
    if (now.getTime() >= allowedAtMs || updatedAtMs > now.getTime()) return [];
    return [
      `${list.names.join(', ')}: changed at ${new Date(updatedAtMs).toISOString()}, and the service wants 5 minutes between ` +
        `two changes of a list: run it again after ${new Date(allowedAtMs).toISOString()}, or with --now`,
    ];
  });
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
