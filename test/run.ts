/**
 * `npm test [vitest arguments]`: sees to it that the programs are there that the tests start (Redis, unless
 * `REDIS_URL` names one, and SIPp), runs all tests, and ends with one line of counts. Exit code: vitest's; 1 when
 * a program is missing.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import type { RunReport } from './support/summary.ts';
import { summaryLine } from './support/summary.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

type Program = 'redis-server' | 'sipp';

/** What the package is called that brings the program. */
interface PackageManager {
  readonly program: string;
  readonly commands: readonly (readonly string[])[];
  readonly packages: Readonly<Record<Program, string>>;
  /** Brew installs for the user; the others for the machine. */
  readonly needsRoot: boolean;
}

const PACKAGE_MANAGERS: readonly PackageManager[] = [
  {
    program: 'apt-get',
    commands: [
      ['update', '-q'],
      ['install', '-q', '-y', '--no-install-recommends'],
    ],
    packages: { 'redis-server': 'redis-server', sipp: 'sip-tester' },
    needsRoot: true,
  },
  {
    program: 'apk',
    commands: [['add', '--no-cache']],
    packages: { 'redis-server': 'redis', sipp: 'sipp' },
    needsRoot: true,
  },
  {
    program: 'dnf',
    commands: [['install', '-y']],
    packages: { 'redis-server': 'redis', sipp: 'sipp' },
    needsRoot: true,
  },
  {
    program: 'brew',
    commands: [['install']],
    packages: { 'redis-server': 'redis', sipp: 'sipp' },
    needsRoot: false,
  },
];

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const missingPrograms = (): readonly Program[] => {
  const needed: Program[] = (process.env['REDIS_URL'] ?? '') === '' ? ['redis-server', 'sipp'] : ['sipp'];
  return needed.filter((program) => !isOnPath(program));
};

/** How commands are run as root here; undefined where they cannot be without asking for a password. */
function rootPrefix(): readonly string[] | undefined {
  if (process.getuid?.() === 0) return [];
  try {
    execFileSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
    return ['sudo', '-n'];
  } catch {
    return undefined;
  }
}

/** Every command line that the package manager needs for the programs, from the first word on. */
function installCommands(
  manager: PackageManager,
  missing: readonly Program[],
): readonly (readonly string[])[] {
  const packages = missing.map((program) => manager.packages[program]);
  return manager.commands.map((command, index) => [
    manager.program,
    ...command,
    ...(index === manager.commands.length - 1 ? packages : []),
  ]);
}

/** @returns whether the programs are there now; if not, has said what to type */
function provide(missing: readonly Program[]): boolean {
  if (missing.length === 0) return true;
  const manager = PACKAGE_MANAGERS.find(({ program }) => isOnPath(program));
  if (manager === undefined) {
    print(`The tests need ${missing.join(' and ')} on the PATH; install them, then run npm test again.`);
    return false;
  }
  const commands = installCommands(manager, missing);
  const prefix = manager.needsRoot ? rootPrefix() : [];
  if (prefix !== undefined) {
    print(`The tests need ${missing.join(' and ')}; installing with ${manager.program}.`);
    try {
      for (const command of commands) {
        const [program = '', ...args] = [...prefix, ...command];
        // No service of its own is to start: the tests start what they need.
        const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
        execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env });
      }
    } catch {
      print(`${manager.program} did not succeed.`);
    }
    if (missingPrograms().length === 0) return true;
  }
  const sudo = manager.needsRoot ? 'sudo ' : '';
  print(`The tests need ${missing.join(' and ')}. Type this, then run npm test again:`);
  print(`  ${commands.map((command) => sudo + command.join(' ')).join(' && ')}`);
  return false;
}

async function runTests(args: readonly string[]): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'callscribe-report-'));
  const reportFile = join(folder, 'report.json');
  const root = join(import.meta.dirname, '..');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
  const vitest = spawn(join(root, 'node_modules/.bin/vitest'), ['run', ...reporters, ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  const [code, signal] = (await once(vitest, 'exit')) as [number | null, NodeJS.Signals | null];
  const exitCode = code ?? (signal === null ? 1 : 130);
  const report = await readFile(reportFile, 'utf8').then(
    (text) => JSON.parse(text) as RunReport,
    () => undefined,
  );
  await rm(folder, { recursive: true, force: true });
  if (report === undefined) print('The run ended before its report was written.');
  print(summaryLine(report, exitCode));
  return exitCode;
}

process.exitCode = provide(missingPrograms()) ? await runTests(process.argv.slice(2)) : 1;
