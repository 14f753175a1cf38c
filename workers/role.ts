/** `npm run worker -- <role>`: one role, from the environment. */
import process from 'node:process';

import { CallscribeError } from '../src/errors.ts';
import { runRoles, runRoot } from './main.ts';
import { WORKER_ROLES } from './service.ts';

await runRoot(async () => {
  const [name, ...more] = process.argv.slice(2);
  const role = WORKER_ROLES.find((known) => known === name);
  if (role === undefined || more.length > 0) {
    const found = process.argv.slice(2).join(' ') || 'nothing';
    throw new CallscribeError(
      'USAGE',
      `npm run worker -- <role>: found ${found}, allowed is one of ${WORKER_ROLES.join(', ')}`,
    );
  }
  await runRoles([role]);
});
