import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A process of `workers/`. */
export interface RunningRoot {
  readonly child: ChildProcessWithoutNullStreams;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<number | null>;
}

const running: RunningRoot[] = [];
/** Ends what a test started; for `afterEach`. */
export async function endRoots(): Promise<void> {
  for (const { child, ended } of running.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
}

/** A root as `npm start` and `npm run worker` run it, with nothing of this process's environment but the path. */
export function start(
  root: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): RunningRoot {
  const child = spawn(process.execPath, ['--import', 'tsx', `workers/${root}`, ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], HTTP_LISTEN: '127.0.0.1:0', RTP_ADDRESS: '127.0.0.1', ...env },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const root_ = { child, output, ended };
  running.push(root_);
  return root_;
}

/** Resolves at the first log line that has the message; rejects when the process ends without. */
export async function logged(
  { child, output, ended }: RunningRoot,
  message: string,
): Promise<Record<string, unknown>> {
  const find = (): Record<string, unknown> | undefined =>
    output.stderr
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .find(({ msg }) => msg === message);
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    const next = await Promise.race([once(child.stderr, 'data'), ended.then(() => 'ended' as const)]);
    if (next === 'ended' && find() === undefined) {
      throw new Error(`ended without "${message}":\n${output.stderr}`);
    }
  }
}
