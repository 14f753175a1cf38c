import type { JobCounts, JobFate, JobQueue, QueuedJob } from '../../src/queue/backend.ts';

/** A queue that does as it is told: it goes away, loses everything, refuses, and jobs are done when a test says so. */
export class MemoryQueue implements JobQueue {
  readonly #refuses: ReadonlySet<string>;
  #jobs = new Map<string, { readonly facts: readonly string[]; fate: JobFate }>();
  #done: string[] = [];
  #askers: (() => void)[] = [];
  isAway = false;
  /** It takes what is added, and its answer is lost on the way. */
  isMute = false;
  /** Facts in the order in which they were taken, each once. */
  readonly takenFacts: string[] = [];
  /** Facts of jobs that were done: what would be rows. */
  readonly rows = new Set<string>();

  constructor({ refuses = new Set<string>() }: { readonly refuses?: ReadonlySet<string> } = {}) {
    this.#refuses = refuses;
  }

  get jobIds(): readonly string[] {
    return [...this.#jobs.keys()];
  }

  get openJobIds(): readonly string[] {
    return this.jobIds.filter((id) => this.#jobs.get(id)?.fate === 'pending');
  }

  add(jobs: readonly QueuedJob[]): Promise<void> {
    if (this.isAway) return Promise.reject(new Error('away'));
    for (const { id, data } of jobs) {
      const facts = (data as unknown as { facts: { id: string }[] }).facts.map((fact) => fact.id);
      if (facts.some((fact) => this.#refuses.has(fact))) {
        return Promise.reject(Object.assign(new Error('invalid input'), { code: '22P02' }));
      }
      if (this.#jobs.has(id)) continue;
      this.#jobs.set(id, { facts, fate: 'pending' });
      for (const fact of facts) if (!this.takenFacts.includes(fact)) this.takenFacts.push(fact);
    }
    if (this.isMute) return Promise.reject(new Error('no answer'));
    return Promise.resolve();
  }

  lastDone(maxJobs: number): Promise<readonly string[]> {
    this.#tellAskers();
    if (this.isAway) return Promise.reject(new Error('away'));
    return Promise.resolve(this.#done.toReversed().slice(0, maxJobs));
  }

  fates(ids: readonly string[]): Promise<readonly JobFate[]> {
    if (this.isAway) return Promise.reject(new Error('away'));
    return Promise.resolve(ids.map((id) => this.#jobs.get(id)?.fate ?? 'gone'));
  }

  counts(): Promise<JobCounts> {
    return Promise.resolve({ waiting: 0, active: 0, delayed: 0, failed: 0, completed: 0 });
  }

  pendingWith(): Promise<number> {
    return Promise.resolve(0);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  finish(id: string): void {
    const job = this.#jobs.get(id);
    if (job?.fate !== 'pending') return;
    job.fate = 'done';
    for (const fact of job.facts) this.rows.add(fact);
    this.#done.push(id);
  }

  fail(id: string): void {
    const job = this.#jobs.get(id);
    if (job !== undefined) job.fate = 'failed';
  }

  /** As retention does, or a restore of an older state. */
  forget(id: string): void {
    this.#jobs.delete(id);
    this.#done = this.#done.filter((done) => done !== id);
  }

  /** As FLUSHALL. */
  flushAll(): void {
    this.#jobs.clear();
    this.#done = [];
  }

  /** Resolves when it has been asked what is done, and the answer has been heard. */
  async asked(): Promise<void> {
    for (let times = 0; times < 2; times += 1) {
      await new Promise<void>((resolve) => this.#askers.push(resolve));
    }
  }

  #tellAskers(): void {
    for (const tell of this.#askers.splice(0)) tell();
  }
}
