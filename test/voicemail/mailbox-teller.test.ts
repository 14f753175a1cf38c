import { afterEach, beforeEach, expect, it } from 'vitest';

import type { Bus } from '../../src/bus/bus.ts';
import { PacketBus } from '../../src/bus/packet-bus.ts';
import { postgresTransport } from '../../src/bus/postgres-transport.ts';
import { silentLogger as logger } from '../../src/log.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { countMailbox, setVoicemailState } from '../../src/store/voicemails.ts';
import {
  askForMailbox,
  isNewer,
  MAILBOX_NEWS,
  type MailboxNews,
  readMailboxNews,
} from '../../src/voicemail/mailbox-news.ts';
import { MailboxTeller } from '../../src/voicemail/mailbox-teller.ts';
import { CloseStack } from '../../workers/close-stack.ts';
import { createDatabase } from '../support/database.ts';
import { leaveMessage } from '../support/voicemails.ts';

let closers: CloseStack;
let pool: Pool;
/** Of two processes. */
let buses: readonly [Bus, Bus];
let news: MailboxNews[];

beforeEach(async () => {
  closers = new CloseStack();
  const database = await createDatabase();
  closers.add(() => database.drop());
  pool = createPool({ databaseUrl: database.url, logger });
  closers.add(() => pool.end());
  const openBus = (): Bus => {
    const bus = new PacketBus({
      openTransport: postgresTransport({ databaseUrl: database.url, logger }),
      logger,
    });
    closers.add(() => bus.close());
    return bus;
  };
  buses = [openBus(), openBus()];
  news = [];
  await buses[1].subscribe(MAILBOX_NEWS, {
    onMessage: (message) => news.push(readMailboxNews(message)!),
    onLost: () => undefined,
  });
});

afterEach(() => closers.close());

function openTeller(
  count = (address: Parameters<typeof countMailbox>[1]) => countMailbox(pool, address),
): MailboxTeller {
  const teller = new MailboxTeller({ bus: buses[0], count, logger });
  closers.add(() => teller.close());
  return teller;
}

async function toldTimes(times: number): Promise<void> {
  while (news.length < times) await pool.query('select 1');
}

it('whoever asks for a mailbox is told how it stands, also of one that nobody left a message in', async () => {
  await openTeller().serve();
  const heard = await leaveMessage(pool, { mailbox: '1001' });
  await leaveMessage(pool, { mailbox: '1001' });
  await setVoicemailState(pool, undefined, heard, 'heard');
  askForMailbox(buses[1], { tenant: 'default', mailbox: '1001' });
  await toldTimes(1);
  askForMailbox(buses[1], { tenant: 'default', mailbox: '1002' });
  await toldTimes(2);
  expect(news).toMatchObject([
    { tenant: 'default', mailbox: '1001', newCount: 1, heardCount: 1 },
    { mailbox: '1002', newCount: 0, heardCount: 0 },
  ]);
});

it('counts of a mailbox are made one after the other, so the newer one has seen more', async () => {
  const address = { tenant: 'default', mailbox: '1001' };
  const first = await pool.connect();
  await first.query('begin');
  // What another process holds while it counts.
  await first.query("select pg_advisory_xact_lock(hashtextextended('default 1001', 13))");
  const counting = countMailbox(pool, address);
  const isWaiting = "select from pg_locks where locktype = 'advisory' and not granted";
  while ((await pool.query(isWaiting)).rowCount === 0);
  await leaveMessage(pool, address);
  const { rows } = await first.query<{ at: Date }>('select clock_timestamp() as at');
  await first.query('commit');
  first.release();
  const second = await counting;
  expect(second.newCount).toBe(1);
  const before = { ...second, asOf: rows[0]!.at.toISOString().replace('Z', '000Z') };
  expect([isNewer(second, before), isNewer(before, second)]).toEqual([true, false]);
});

it('a mailbox that changes while it is counted is counted again, and one that cannot be counted stops no other', async () => {
  const address = { tenant: 'default', mailbox: '1001' };
  let counted = 0;
  const teller: MailboxTeller = openTeller(async (asked) => {
    counted += 1;
    if (asked.mailbox === 'broken') throw new Error('no');
    if (counted === 1) teller.tell(address);
    return countMailbox(pool, asked);
  });
  for (const mailbox of ['1001', '1001', 'broken', '1002']) teller.tell({ tenant: 'default', mailbox });
  await toldTimes(3);
  await teller.close();
  expect(news.map(({ mailbox }) => mailbox)).toEqual(['1001', '1002', '1001']);
  teller.tell(address);
  expect(counted).toBe(4);
});
