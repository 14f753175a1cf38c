import { expect, test } from 'vitest';

import {
  askForMailbox,
  isNewer,
  MAILBOX_NEWS,
  MAILBOX_QUESTIONS,
  type MailboxNews,
  readMailboxNews,
  readMailboxQuestion,
  tellMailboxNews,
} from '../../src/voicemail/mailbox-news.ts';

const news: MailboxNews = {
  tenant: 'default',
  mailbox: '1001',
  newCount: 2,
  heardCount: 0,
  asOf: '2026-11-23T03:32:36.000001Z',
};

function published(
  publish: (bus: { publish: (channel: string, message: string) => void }) => void,
): string[][] {
  const sent: string[][] = [];
  publish({ publish: (channel, message) => void sent.push([channel, message]) });
  return sent;
}

test('what was told and asked is read again', () => {
  const [[channel, message = ''] = []] = published((bus) => {
    tellMailboxNews(bus, news);
  });
  expect(channel).toBe(MAILBOX_NEWS);
  expect(readMailboxNews(message)).toEqual(news);
  const [[asked, question = ''] = []] = published((bus) => {
    askForMailbox(bus, news);
  });
  expect(asked).toBe(MAILBOX_QUESTIONS);
  expect(readMailboxQuestion(question)).toEqual({ tenant: 'default', mailbox: '1001' });
});

test.each([
  '',
  '{',
  'null',
  '{"tenant":"t"}',
  JSON.stringify({ ...news, newCount: -1 }),
  JSON.stringify({ ...news, asOf: 'now' }),
])('no news: %s', (message) => {
  expect(readMailboxNews(message)).toBeUndefined();
});

test('the newer news win by the microsecond, and the same again are not newer', () => {
  const later = { ...news, asOf: '2026-11-23T03:32:36.000002Z' };
  expect(isNewer(later, news)).toBe(true);
  expect(isNewer(news, later)).toBe(false);
  expect(isNewer(news, news)).toBe(false);
  expect(isNewer(news, undefined)).toBe(true);
});
