import { expect, it } from 'vitest';

import type { MailOutcome } from '../../src/mail/sender.ts';
import { judgeMail } from '../../src/mail/verdict.ts';

const failure = 'EENVELOPE 550';
const judge = (outcome: MailOutcome, firstTriedMsAgo: number): ReturnType<typeof judgeMail> =>
  judgeMail(outcome, { attempts: 3, firstTriedMsAgo }, { retryForMs: 1_000 }, (attempts) => attempts * 10);

it('what the server takes is done, what it will never take is dead, all else comes again for a while', () => {
  expect(judge({ kind: 'delivered' }, 5_000)).toEqual({ kind: 'delivered' });
  expect(judge({ kind: 'refused', failure }, 0)).toEqual({ kind: 'bury', failure });
  const postpone = { kind: 'postpone', pauseMs: 30, failure };
  expect(judge({ kind: 'deferred', failure }, 999)).toEqual({ ...postpone, because: 'mail' });
  expect(judge({ kind: 'failed', failure }, 999)).toEqual({ ...postpone, because: 'server' });
  expect(judge({ kind: 'deferred', failure }, 1_000)).toEqual({ kind: 'bury', failure });
  expect(judge({ kind: 'failed', failure }, 1_000)).toEqual({ kind: 'bury', failure });
});
