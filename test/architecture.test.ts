import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterEach, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

const trees: string[] = [];
afterEach(async () => {
  await Promise.all(trees.splice(0).map((tree) => rm(tree, { recursive: true })));
});

/** `rule: offender` for every rule that a tree of files breaks, by the check that `npm run check:imports` runs. */
async function brokenRules(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const tree = await mkdtemp(join(tmpdir(), 'callscribe-imports-'));
  trees.push(tree);
  await symlink(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  await mkdir(join(tree, 'workers'));
  for (const name of ['tsconfig.json', 'package.json']) await symlink(join(ROOT, name), join(tree, name));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text);
  }
  const config = join(ROOT, '.dependency-cruiser.cjs');
  const arguments_ = ['--config', config, '--output-type', 'json', 'src', 'workers'];
  const { stdout } = await run(join(ROOT, 'node_modules/.bin/depcruise'), arguments_, {
    cwd: tree,
    maxBuffer: 2 ** 26,
  }).catch((error: unknown) => error as { stdout: string });
  const { summary } = JSON.parse(stdout) as {
    summary: { violations: { rule: { name: string }; from: string }[] };
  };
  return [
    ...new Set(summary.violations.map((violation) => `${violation.rule.name}: ${violation.from}`)),
  ].sort();
}

const EMPTY = 'export const nothing = 0;\n';

/** rule → a file that breaks it, and what it imports. */
const OFFENDERS: Readonly<Record<string, readonly [path: string, text: string]>> = {
  'room-rtp': ['src/rtp/a.ts', "import { nothing } from '../call/call.ts';\nexport const x = nothing;\n"],
  'room-rtp-types': ['src/rtp/b.ts', "import type { Call } from '../call/call.ts';\nexport type X = Call;\n"],
  'nothing-imports-the-roots': [
    'src/sip/a.ts',
    "import { nothing } from '../../workers/intake.ts';\nexport const x = nothing;\n",
  ],
  'only-roots-read-the-configuration': [
    'src/http/a.ts',
    "import { nothing } from '../config.ts';\nexport const x = nothing;\n",
  ],
  'one-room-for-pg': ['src/live/a.ts', "import pg from 'pg';\nexport const x = pg;\n"],
  'one-room-for-drachtio-srf': ['src/call/a.ts', "import Srf from 'drachtio-srf';\nexport const x = Srf;\n"],
  'pure-files-touch-nothing-outside': [
    'src/rtp/packet.ts',
    "import { createSocket } from 'node:dgram';\nexport const x = createSocket;\n",
  ],
  'no-circular': ['src/store/a.ts', "import { b } from './b.ts';\nexport const a = (): unknown => b;\n"],
  'every-room-is-in-the-table': [
    'src/utils/a.ts',
    "import { join } from 'node:path';\nexport const x = join;\n",
  ],
  'no-unresolvable': ['src/edge/a.ts', "import { b } from './gone.ts';\nexport const a = b;\n"],
};

describe('the import rules', () => {
  it('accept a stage that takes a value from the ground and a type from the room that feeds it', async () => {
    const broken = await brokenRules({
      'src/errors.ts': EMPTY,
      'src/rtp/packet.ts': "import { nothing } from '../errors.ts';\nexport type Packet = typeof nothing;\n",
      'src/audio/leg-audio.ts':
        "import type { Packet } from '../rtp/packet.ts';\nexport type Audio = Packet;\n",
    });
    expect(broken).toEqual([]);
  });

  it('refuse what they are there for', async () => {
    const broken = await brokenRules({
      'src/config.ts': EMPTY,
      'src/call/call.ts': `${EMPTY}export interface Call { readonly id: string }\n`,
      'workers/intake.ts': EMPTY,
      'src/store/b.ts': "import { a } from './a.ts';\nexport const b = (): unknown => a;\n",
      ...Object.fromEntries(Object.values(OFFENDERS)),
    });
    const expected = Object.entries(OFFENDERS).map(([rule, [path]]) => `${rule}: ${path}`);
    expect(broken).toEqual(expect.arrayContaining(expected));
  });
});
