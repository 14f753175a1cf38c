import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';

import { toError } from '../src/errors.ts';

/** What a process of a bench does when it is told to: one answer to each order, in turn. */
export type Duties = Readonly<Record<string, (order: never) => unknown>>;

interface Question {
  readonly duty: string;
  readonly order: unknown;
}
type Answer = { readonly result: unknown } | { readonly fault: string };

/** Another process of a bench, as the one that started it sees it. One order at a time. */
export class BenchProcess implements Disposable {
  readonly #child: ChildProcess;
  readonly #name: string;
  /** Rejects when the process ends. */
  readonly gone: Promise<never>;

  /** @param file a root that serves duties when its first argument is `child` */
  static start(file: string, name: string): BenchProcess {
    const child = fork(file, ['child', name], {
      execArgv: [...process.execArgv, '--expose-gc'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    return new BenchProcess(child, name);
  }

  private constructor(child: ChildProcess, name: string) {
    this.#child = child;
    this.#name = name;
    this.gone = once(child, 'exit').then(() => {
      throw new Error(`the ${name} process ended before its time`);
    });
    this.gone.catch(() => undefined);
  }

  /** @throws {Error} where the order fails, or the process ends */
  async ask<T>(duty: string, order?: unknown): Promise<T> {
    const answered = once(this.#child, 'message') as Promise<[Answer]>;
    this.#child.send({ duty, order } satisfies Question);
    const [answer] = await Promise.race([answered, this.gone]);
    if ('fault' in answer) throw new Error(`the ${this.#name} process: ${answer.fault}`);
    return answer.result as T;
  }

  /** Ends it in order, so that it can write its profile. */
  async end(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

/** Does the duties of this process until its parent is gone; without it there is nobody to work for. */
export function serveDuties(duties: Duties): void {
  process.once('disconnect', () => process.exit());
  process.on('message', ({ duty, order }: Question) => {
    const act = duties[duty] as ((order: unknown) => unknown) | undefined;
    void Promise.resolve()
      .then(() => act?.(order))
      .then(
        (result): Answer => ({ result }),
        (thrown: unknown): Answer => ({ fault: toError(thrown).stack ?? 'unknown' }),
      )
      .then((answer) => process.send?.(answer));
  });
}

/** Collects garbage, so that memory is what is held; undefined where V8 does not lend it. */
export function garbageCollector(): (() => void) | undefined {
  const collect = globalThis.gc;
  if (collect === undefined) return undefined;
  return () => {
    collect();
  };
}
