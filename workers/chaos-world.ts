import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import type { SipTarget } from '../src/caller/sip-target.ts';
import type { ChaosKind } from '../src/chaos/kinds.ts';
import { RedisServer } from '../src/chaos/redis-server.ts';
import { RoleProcess } from '../src/chaos/role-process.ts';
import { SmallDisk } from '../src/chaos/small-disk.ts';
import { systemClock } from '../src/clock.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import { silentLogger } from '../src/log.ts';
import { createPool, type Pool } from '../src/store/pool.ts';
import type { BenchProcess } from './bench-process.ts';
import { CloseStack } from './close-stack.ts';

export interface ChaosWorldOptions {
  readonly kind: ChaosKind;
  readonly queue: 'redis' | 'postgres';
  readonly seed: number;
  readonly keep: boolean;
  /** Starts a process that serves duties. */
  readonly start: (name: string) => BenchProcess;
  readonly onStep: (step: string) => void;
  /** More settings of the roles. */
  readonly env?: Readonly<Record<string, string>>;
}

const ROLES = ['calls', 'sentences', 'intake'] as const;
type RoleName = (typeof ROLES)[number];
/** Recordings of the run, the outbox and a bit. */
const SMALL_DISK_MB = 64;

/** Everything that a run needs, each in a process of its own on ports of its own; closed in the reverse order. */
export class ChaosWorld implements AsyncDisposable {
  readonly directory: string;
  readonly crashes: string[] = [];
  /** Wall times at which the intake was killed. */
  readonly intakeKilledAtMs: number[] = [];
  readonly #options: ChaosWorldOptions;
  readonly #closers = new CloseStack();
  readonly #roles = new Map<RoleName, RoleProcess>();
  #postgres!: EmbeddedPostgres;
  #pool!: Pool;
  #redis!: RedisServer;
  #sandbox!: BenchProcess;
  #disk: SmallDisk | undefined;
  #sipPort = 0;
  #httpPort = 0;

  private constructor(options: ChaosWorldOptions, directory: string) {
    this.#options = options;
    this.directory = directory;
  }

  static async open(options: ChaosWorldOptions): Promise<ChaosWorld> {
    const directory = await mkdtemp(join(tmpdir(), `callscribe-chaos-${options.kind}-`));
    // Root hands the database server to another user, who must get through.
    await chmod(directory, 0o755);
    const world = new ChaosWorld(options, directory);
    try {
      await world.#open();
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  get pool(): Pool {
    return this.#pool;
  }

  get redis(): RedisServer {
    return this.#redis;
  }

  get target(): SipTarget {
    return { user: undefined, host: '127.0.0.1', port: this.#sipPort };
  }

  get disk(): SmallDisk {
    if (this.#disk === undefined) throw new Error('only disk-full has a small disk');
    return this.#disk;
  }

  pidOf(role: RoleName): number {
    return this.#role(role).pid ?? 0;
  }

  /** What the intake tells of itself; empty while it does not answer. */
  async metrics(): Promise<string> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#httpPort}/metrics`);
      return await response.text();
    } catch {
      return '';
    }
  }

  /** Recognition tasks whose socket was cut before their end. */
  socketsCut(): Promise<number> {
    return this.#sandbox.ask<number>('sandbox.cuts');
  }

  /** SIGINT asks Postgres for a fast shutdown, SIGQUIT for one without any order; whoever keeps it starts it again. */
  async restartPostgres(how: 'fast' | 'immediate'): Promise<void> {
    const file = await readFile(join(this.#postgres.clusterDir, 'postmaster.pid'), 'utf8');
    process.kill(Number(file.split('\n')[0]), how === 'fast' ? 'SIGINT' : 'SIGQUIT');
  }

  async killAndRestart(name: RoleName): Promise<void> {
    const role = this.#role(name);
    if (name === 'intake') this.intakeKilledAtMs.push(systemClock.wallTime().getTime());
    await role.kill();
    await role.start();
  }

  /** Drains every role, in the order of the road. */
  async end(): Promise<void> {
    for (const name of [...ROLES].reverse()) {
      const outcome = await this.#role(name).end();
      if (outcome === 'killed') this.crashes.push(`${name}: did not end when it was told to`);
    }
  }

  async close(): Promise<void> {
    await this.#closers.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #role(name: RoleName): RoleProcess {
    const role = this.#roles.get(name);
    if (role === undefined) throw new Error(`the ${name} process is not there yet`);
    return role;
  }

  async #open(): Promise<void> {
    const { kind, queue, keep, onStep, start, seed } = this.#options;
    if (!keep) this.#closers.add(() => rm(this.directory, { recursive: true, force: true }));
    const dataDir = join(this.directory, 'data');
    await mkdir(dataDir);
    if (kind === 'disk-full') {
      const disk = await SmallDisk.mount(dataDir, SMALL_DISK_MB);
      this.#disk = disk;
      this.#closers.add(() => disk.unmount());
    }
    onStep('starting Postgres');
    const postgres = await startEmbeddedPostgres({
      dataDir: join(this.directory, 'database'),
      logger: silentLogger,
    });
    this.#postgres = postgres;
    this.#closers.add(async () => {
      await postgres.close();
      if (!keep) await rm(postgres.clusterDir, { recursive: true, force: true });
    });
    const pool = createPool({ databaseUrl: postgres.url, logger: silentLogger });
    this.#pool = pool;
    this.#closers.add(() => pool.end());
    if (queue === 'redis') await this.#startRedis();
    onStep('starting the sandbox of the recogniser');
    const sandbox = start('sandbox');
    this.#sandbox = sandbox;
    this.#closers.add(() => sandbox.end());
    const asrUrl = await sandbox.ask<string>('sandbox', { cut: kind === 'sockets', seed });
    this.#sipPort = await freePort('udp');
    this.#httpPort = await freePort('tcp');
    const shared = {
      DATABASE_URL: postgres.url,
      ...(queue === 'redis' ? { REDIS_URL: this.#redis.url } : {}),
      LOG_LEVEL: 'info',
      ...this.#options.env,
    };
    onStep('starting the roles');
    const intake = {
      SIP_LISTEN: `udp:127.0.0.1:${this.#sipPort}`,
      HTTP_LISTEN: `127.0.0.1:${this.#httpPort}`,
      RTP_ADDRESS: '127.0.0.1',
      RTP_PORTS: ownPorts(),
      DASHSCOPE_WS_URL: asrUrl,
      DASHSCOPE_API_KEY: 'sk-chaos',
      DATA_DIR: dataDir,
      RECORDING_DIR: join(this.directory, 'recordings'),
    };
    const starts = ROLES.map((role) => {
      const writer = { HTTP_LISTEN: '127.0.0.1:0', DATA_DIR: join(this.directory, role) };
      return this.#startRole(role, { ...shared, ...(role === 'intake' ? intake : writer) });
    });
    await Promise.allSettled(starts);
    await Promise.all(starts);
  }

  async #startRedis(): Promise<void> {
    const directory = join(this.directory, 'redis');
    await mkdir(directory);
    this.#options.onStep('starting Redis');
    const redis = await RedisServer.start({ directory, port: await freePort('tcp') });
    this.#redis = redis;
    this.#closers.add(() => redis.stop('SIGTERM'));
  }

  async #startRole(name: RoleName, env: Readonly<Record<string, string>>): Promise<void> {
    const role = new RoleProcess({
      role: name,
      root: fileURLToPath(
        new URL(`./role.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url),
      ),
      env,
      logFile: join(this.directory, `${name}.log`),
      onCrash: (which, how) => {
        this.crashes.push(`${which}: ${how}`);
      },
    });
    this.#closers.add(() => role.close());
    this.#roles.set(name, role);
    await role.start();
  }
}

/** Two thousand ports below those that systems give away. */
function ownPorts(): string {
  const first = 20_000 + (process.pid % 6) * 2_000;
  return `${first}-${first + 1_999}`;
}

async function freePort(protocol: 'udp' | 'tcp'): Promise<number> {
  if (protocol === 'udp') {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    socket.close();
    return port;
  }
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}
