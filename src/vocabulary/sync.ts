import { setTimeout as sleep } from 'node:timers/promises';

import type { Clock } from '../clock.ts';
import { isVocabularyMissing, type VocabularyService } from '../dashscope/vocabulary-service.ts';
import { CallscribeError } from '../errors.ts';
import { digestOf, type LockedVocabulary, type VocabularyLock } from '../routing/vocabulary-lock.ts';
import { type Account, type OwnList, type Plan, planOf, type PlanOptions, type Step } from './plan.ts';

export interface SyncOptions extends Pick<PlanOptions, 'lists' | 'lock' | 'namedIds' | 'unwanted' | 'pause'> {
  readonly service: VocabularyService;
  /** Of the ids that are ours. */
  readonly prefix: string;
  readonly clock: Clock;
  /** Told before a list is deleted whose place another takes, and at the end. */
  readonly saveLock: (lock: VocabularyLock) => Promise<void>;
  /** Told after each step. */
  readonly onStep: (step: Step) => void;
  readonly signal: AbortSignal;
  /** From making or changing a list until it can be used; default 120 s. */
  readonly deployWithinMs?: number;
}

const DEPLOY_WITHIN_MS = 120_000;
const LOOK_EVERY_MS = 1_000;

/** Lists whose id begins with our prefix, and no other: no prefix has a hyphen. */
export const isOwn = (id: string, prefix: string): boolean => id.startsWith(`vocab-${prefix}-`);

/** Reads the account. @throws {DashScopeError} */
async function readAccount(
  service: VocabularyService,
  prefix: string,
  signal: AbortSignal,
): Promise<Account> {
  const own: OwnList[] = [];
  let others = 0;
  for await (const { vocabularyId: id } of service.listAll({ signal })) {
    if (!isOwn(id, prefix)) {
      others += 1;
      continue;
    }
    try {
      const { targetModel, vocabulary, gmtCreate } = await service.query(id, { signal });
      own.push({ id, model: targetModel, words: vocabulary, createdAt: gmtCreate });
    } catch (thrown) {
      // Deleted meanwhile.
      if (!isVocabularyMissing(thrown)) throw thrown;
    }
  }
  return { own, others };
}

/** What {@link syncVocabularies} would do. @throws {DashScopeError} */
export async function planSync(options: SyncOptions): Promise<{ plan: Plan; account: Account }> {
  const account = await readAccount(options.service, options.prefix, options.signal);
  return { plan: planOf({ ...options, account, now: options.clock.wallTime() }), account };
}

/**
 * Makes the account's lists equal to those of the file. What was done is in the lock, also where a later step fails; what
 * was done by a run that was killed is found by its words.
 *
 * @returns what was planned; nothing of it is done where it has faults
 * @throws {DashScopeError} what the service said
 * @throws {CallscribeError} ASR_TIMEOUT where it does not get a list ready
 */
export async function syncVocabularies(options: SyncOptions): Promise<Plan> {
  const { plan, account } = await planSync(options);
  if (plan.faults.length === 0) await new Sync(options, account).run(plan.steps);
  return plan;
}

class Sync {
  readonly #options: SyncOptions;
  readonly #lock: Map<string, LockedVocabulary>;
  #savedText: string;

  constructor(options: SyncOptions, { own }: Account) {
    const { lock, lists } = options;
    this.#options = options;
    const exist = new Set(own.map(({ id }) => id));
    this.#lock = new Map(Object.entries(lock).filter(([name, { id }]) => lists.has(name) && exist.has(id)));
    this.#savedText = JSON.stringify(lock);
  }

  async run(steps: readonly Step[]): Promise<void> {
    const { onStep } = this.#options;
    const made = new Set<string>();
    try {
      for (const step of steps) {
        // Whoever reads the lock must not find an id there that is deleted already.
        if (step.kind === 'delete') await this.#save();
        const id = await this.#do(step);
        if (step.kind === 'create' && id !== undefined) made.add(id);
        onStep(step);
      }
      if (made.size > 0) await this.#agree(made);
    } finally {
      await this.#save();
    }
  }

  /** @returns the id of the list */
  async #do(step: Step): Promise<string | undefined> {
    const { service, prefix, signal, clock } = this.#options;
    switch (step.kind) {
      case 'keep':
        await this.#ready(step.id);
        this.#note(step, step.id);
        return step.id;
      case 'update': {
        await service.update(step.id, step.list.words, { signal });
        // Also where it is not ready in time: its words are these from now on.
        this.#note(step, step.id, clock.wallTime().toISOString());
        await this.#ready(step.id);
        return step.id;
      }
      case 'create': {
        const { model: targetModel, words: vocabulary } = step.list;
        const id = await service.create({ targetModel, prefix, vocabulary }, { signal });
        await this.#ready(id);
        this.#note(step, id);
        return id;
      }
      case 'delete':
        for (const [name, { id }] of this.#lock) if (id === step.id) this.#lock.delete(name);
        await service.delete(step.id, { signal }).catch(unlessMissing);
        return undefined;
    }
  }

  /** Where another run made the same list at the same time, both take the older one. */
  async #agree(made: ReadonlySet<string>): Promise<void> {
    const { service, signal } = this.#options;
    const lock = Object.fromEntries(this.#lock);
    const { plan } = await planSync({ ...this.#options, lock, unwanted: 'deleted', pause: 'ignored' });
    for (const step of plan.steps) {
      if (step.kind === 'keep') this.#note(step, step.id);
      if (step.kind !== 'delete' || !made.has(step.id)) continue;
      await this.#save();
      await service.delete(step.id, { signal }).catch(unlessMissing);
    }
  }

  #note({ list }: Exclude<Step, { kind: 'delete' }>, id: string, updatedAt?: string): void {
    for (const name of list.names) {
      const before = this.#lock.get(name);
      const changedAt = updatedAt ?? (before?.id === id ? before.updatedAt : undefined);
      this.#lock.set(name, {
        id,
        model: list.model,
        digest: digestOf(this.#options.lists.get(name)?.words ?? []),
        ...(changedAt === undefined ? {} : { updatedAt: changedAt }),
      });
    }
  }

  async #ready(id: string): Promise<void> {
    const { service, signal, clock, deployWithinMs = DEPLOY_WITHIN_MS } = this.#options;
    const untilMs = clock.monotonicMs() + deployWithinMs;
    for (;;) {
      const { status } = await service.query(id, { signal });
      if (status !== 'UNDEPLOYED') return;
      if (clock.monotonicMs() >= untilMs) {
        throw new CallscribeError(
          'ASR_TIMEOUT',
          `the service did not get ${id} ready within ${deployWithinMs} ms; run it again later`,
          { retryable: true },
        );
      }
      await sleep(Math.min(LOOK_EVERY_MS, deployWithinMs), undefined, { signal });
    }
  }

  async #save(): Promise<void> {
    const lock = Object.fromEntries(this.#lock);
    const text = JSON.stringify(lock);
    if (text === this.#savedText) return;
    await this.#options.saveLock(lock);
    this.#savedText = text;
  }
}

function unlessMissing(thrown: unknown): void {
  if (!isVocabularyMissing(thrown)) throw thrown;
}
