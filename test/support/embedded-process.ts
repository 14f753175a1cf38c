import pg from 'pg';

import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts';
import { silentLogger } from '../../src/log.ts';

// A process of its own that uses the embedded Postgres; driven by lines on its standard input, answers by
// lines of JSON: `close`, `exit` (without closing), and SIGTERM (a drain that needs the database, then exit 0).
const say = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};

const [dataDir = ''] = process.argv.slice(2);
const server = await startEmbeddedPostgres({ dataDir, logger: silentLogger });

async function postmasterPid(): Promise<number> {
  const client = new pg.Client(server.url);
  await client.connect();
  const result = await client.query<{ pid: string }>(
    `select split_part(pg_read_file('postmaster.pid'), E'\\n', 1) as pid`,
  );
  await client.end();
  return Number(result.rows[0]?.pid);
}

process.on('SIGTERM', () => {
  // Longer than async-exit-hook would give us: it calls process.exit in the next ticks.
  setTimeout(() => {
    void postmasterPid()
      .then((pid) => {
        say({ drained: pid });
        return server.close();
      })
      .then(() => process.exit(0));
  }, 300);
});

// Said last: whoever reads it may send the signal at once.
say({ url: server.url, pid: await postmasterPid() });

for await (const line of process.stdin.setEncoding('utf8')) {
  if (String(line).includes('exit')) process.exit(3);
  if (String(line).includes('close')) {
    await server.close();
    say({ closed: true });
    process.exit(0);
  }
}
