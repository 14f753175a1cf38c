import { describe, expect, it, test } from 'vitest';

import type { RequestText } from '../../src/sip/invite.ts';
import { messageSummary } from '../../src/sip/message-summary.ts';
import { readSubscribe } from '../../src/sip/subscribe-request.ts';

const CONTACT = 'Contact: <sip:1001@10.0.0.5>';
const EVENT = 'Event: message-summary';
const SECONDS = { min: 60, max: 3_600 };

const text = (...lines: string[]): RequestText => ({
  raw: `SUBSCRIBE sip:1001@example.org SIP/2.0\r\n${lines.join('\r\n')}\r\n\r\n`,
  header: () => undefined,
});

test.each([
  ['as a phone asks', [EVENT, CONTACT, 'Expires: 600'], 'message-summary', 600],
  ['without Expires: as long as there is', [EVENT, CONTACT], 'message-summary', 3_600],
  ['longer than there is', [EVENT, CONTACT, 'Expires: 86400'], 'message-summary', 3_600],
  ['no longer', [EVENT, CONTACT, 'Expires: 0'], 'message-summary', 0],
  ['the shortest', [EVENT, CONTACT, 'Expires: 60'], 'message-summary', 60],
  ['in compact form', ['o: Message-Summary', 'm: <sip:1001@10.0.0.5>'], 'message-summary', 3_600],
  ['with an id', ['Event: message-summary;x=1;id=a.7', CONTACT], 'message-summary;id=a.7', 3_600],
  ['with an id that would be a header', ['Event: message-summary;id=a b', CONTACT], 'message-summary', 3_600],
  [
    'who takes our type among others',
    [EVENT, CONTACT, 'Accept: application/pidf+xml, application/simple-message-summary;q=0.5'],
    'message-summary',
    3_600,
  ],
  ['who takes anything', [EVENT, CONTACT, 'Accept: */*'], 'message-summary', 3_600],
])('takes a SUBSCRIBE %s', (_, lines, event, seconds) => {
  expect(readSubscribe(text(...lines), SECONDS)).toEqual({ kind: 'subscribe', event, seconds });
});

test.each([
  ['another package', ['Event: presence', CONTACT], 489, { 'Allow-Events': 'message-summary' }],
  ['a package like ours', ['Event: message-summary.winfo', CONTACT], 489, {}],
  ['no package', [CONTACT], 489, { 'Allow-Events': 'message-summary' }],
  ['nowhere to notify', [EVENT], 400, {}],
  ['another type', [EVENT, CONTACT, 'Accept: application/pidf+xml'], 406, {}],
  ['too short', [EVENT, CONTACT, 'Expires: 59'], 423, { 'Min-Expires': '60' }],
  ['no number', [EVENT, CONTACT, 'Expires: soon'], 400, {}],
  ['a negative number', [EVENT, CONTACT, 'Expires: -1'], 400, {}],
])('refuses a SUBSCRIBE with %s', (_, lines, status, headers) => {
  const reading = readSubscribe(text(...lines), SECONDS);
  expect(reading).toMatchObject({ kind: 'refuse', status, headers });
});

describe('the summary', () => {
  it.each([
    [2, 5, 'yes'],
    [0, 5, 'no'],
    [0, 0, 'no'],
  ])('of %d new and %d old messages says %s', (newCount, heardCount, waiting) => {
    expect(messageSummary('sip:1001@example.org', { newCount, heardCount })).toBe(
      `Messages-Waiting: ${waiting}\r\nMessage-Account: sip:1001@example.org\r\n` +
        `Voice-Message: ${newCount}/${heardCount} (0/0)\r\n`,
    );
  });
});
