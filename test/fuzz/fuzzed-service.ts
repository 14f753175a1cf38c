import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { FromService, Snapshot, StoredSpeech, ToService } from './service-messages.ts';

const READY_TIMEOUT_MS = 120_000;

/** The service under fuzz, seen from outside. */
export class FuzzedService implements AsyncDisposable {
  readonly sip: Readonly<Record<'udp' | 'tcp', { readonly host: string; readonly port: number }>>;
  readonly #child: ChildProcess;
  readonly #httpUrl: string;
  readonly #gone: Promise<string>;
  #orders = 0;

  private constructor(child: ChildProcess, ready: Extract<FromService, { kind: 'ready' }>) {
    this.#child = child;
    this.#gone = once(child, 'exit').then(([code, signal]) => String(code ?? signal));
    child.setMaxListeners(50);
    this.#httpUrl = ready.httpUrl;
    const at = (protocol: string): { host: string; port: number } =>
      ready.sipAddresses.find((address) => address.protocol === protocol)!;
    this.sip = { udp: at('udp'), tcp: at('tcp') };
  }

  static async start(env: Readonly<Record<string, string>>): Promise<FuzzedService> {
    const script = fileURLToPath(new URL('./service-process.ts', import.meta.url));
    const child = spawn(process.execPath, ['--expose-gc', '--import', 'tsx', script], {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const [ready] = (await once(child, 'message', { signal: AbortSignal.timeout(READY_TIMEOUT_MS) })) as [
      FromService,
    ];
    if (ready.kind !== 'ready') throw new Error('the service under fuzz spoke out of turn');
    return new FuzzedService(child, ready);
  }

  /** Whether the process lives. */
  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async snapshot(options: { readonly collect: boolean }): Promise<Snapshot> {
    const answer = await this.#ask({ kind: 'snapshot', ...options });
    if (answer.kind !== 'snapshot') throw new Error('no snapshot');
    return answer.snapshot;
  }

  async speech(sipCallIds: readonly string[]): Promise<Readonly<Record<string, StoredSpeech | undefined>>> {
    const answer = await this.#ask({ kind: 'speech', sipCallIds });
    if (answer.kind !== 'speech') throw new Error('no speech');
    return answer.speech;
  }

  /** A figure of /metrics. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.#httpUrl}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  }

  async #ask(
    order:
      | Omit<Extract<ToService, { kind: 'snapshot' }>, 'id'>
      | Omit<Extract<ToService, { kind: 'speech' }>, 'id'>
      | { kind: 'close' },
  ): Promise<FromService> {
    this.#orders += 1;
    const id = this.#orders;
    const answered = new Promise<FromService>((resolve, reject) => {
      const onMessage = (message: FromService): void => {
        if (message.kind === 'ready' || message.id !== id) return;
        this.#child.off('message', onMessage);
        resolve(message);
      };
      this.#child.on('message', onMessage);
      void this.#gone.then((how) => {
        reject(new Error(`the service under fuzz ended: ${how}`));
      });
    });
    this.#child.send({ ...order, id });
    return answered;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isAlive) return;
    const gone = once(this.#child, 'exit');
    await Promise.race([this.#ask({ kind: 'close' }), new Promise((resolve) => setTimeout(resolve, 20_000))]);
    this.#child.kill('SIGKILL');
    await gone;
  }
}
