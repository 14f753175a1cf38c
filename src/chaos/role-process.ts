import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import process from 'node:process';

import { within } from '../within.ts';

export interface RoleProcessOptions {
  /** `intake`, `sentences`, `calls`, `edge`. */
  readonly role: string;
  /** The root that runs one role. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  /** Everything that the process writes is appended here. */
  readonly logFile: string;
  /** It ended without having been told to. */
  readonly onCrash: (role: string, how: string) => void;
}

const START_MAX_MS = 60_000;
const END_MAX_MS = 45_000;
const READY = '"msg":"ready"';

/** One role of the service in a process of its own, that can be killed and started again. */
export class RoleProcess {
  readonly #options: RoleProcessOptions;
  readonly #log: WriteStream;
  #child: ChildProcess | undefined;
  /** Told to end; what ends otherwise has crashed. */
  #isEnding = false;

  constructor(options: RoleProcessOptions) {
    this.#options = options;
    this.#log = createWriteStream(options.logFile, { flags: 'a' });
  }

  get role(): string {
    return this.#options.role;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when it is ready for work. @throws {Error} when it ends before, or is not ready within a minute */
  async start(): Promise<void> {
    const { root, role, env, logFile } = this.#options;
    this.#isEnding = false;
    const child = spawn(process.execPath, [...process.execArgv, root, role], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...env },
    });
    this.#child = child;
    const gone = once(child, 'close');
    child.once('exit', (code, signal) => {
      if (!this.#isEnding) this.#options.onCrash(role, signal ?? `exit code ${code ?? 'none'}`);
    });
    child.stdout.on('data', (text: Buffer) => this.#log.write(text));
    let unread = '';
    const ready = new Promise<'ready'>((resolve) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        this.#log.write(text);
        // Only the beginning: what follows is not looked at.
        if (unread.length > 1_000_000) return;
        unread += text;
        if (unread.includes(READY)) {
          unread = ' '.repeat(1_000_001);
          resolve('ready');
        }
      });
    });
    const started = Promise.race([ready, gone.then(() => 'gone' as const)]);
    const outcome = await within(START_MAX_MS, started);
    if (outcome === 'too-late' || (await started) === 'gone') {
      throw new Error(`the ${role} process did not start; see ${logFile}`);
    }
  }

  /** SIGKILL: it can do nothing more. Resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM: it drains. Killed where that takes too long. */
  async end(): Promise<'ended' | 'killed'> {
    const ended = this.#end('SIGTERM');
    if ((await within(END_MAX_MS, ended)) !== 'too-late') return 'ended';
    await this.#end('SIGKILL');
    return 'killed';
  }

  async close(): Promise<void> {
    await this.#end('SIGKILL');
    await new Promise<void>((resolve) => {
      this.#log.end(() => {
        resolve();
      });
    });
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#isEnding = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }
}
