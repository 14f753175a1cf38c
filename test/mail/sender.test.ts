import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';

import type { SMTPServerOptions } from 'smtp-server';
import { expect, it } from 'vitest';

import { newCallId } from '../../src/ids.ts';
import { type ComposedMail, composeMail } from '../../src/mail/compose.ts';
import { createMailSender, type MailOutcome } from '../../src/mail/sender.ts';
import { MailServer, type Refusal } from '../support/mail-server.ts';

const mailTo = (recipient: string, more: Partial<ComposedMail> = {}): ComposedMail => ({
  ...composeMail({
    mailId: '1',
    from: 'Voicemail <vm@example.com>',
    recipient,
    sound: { kind: 'wav', wav: Buffer.from([82, 73, 70, 70, 0, 255, 13, 10, 46, 13, 10]) },
    voicemail: {
      callId: newCallId(),
      tenant: 'default',
      mailbox: '1001',
      caller: '1002',
      callerName: '李伟\r\nBcc: all@example.com',
      beginMs: 0,
      endMs: 5_000,
      beganAt: new Date(),
      endReason: 'hangup',
      content: 'message',
      text: '您好。\n.\nBye',
      recorded: true,
    },
  }),
  ...more,
});

const send = (url: string, recipient = 'anna@example.com', timeoutMs = 5_000): Promise<MailOutcome> =>
  createMailSender({ url, timeoutMs })(mailTo(recipient));

it('arrives as it was composed, with its sound byte by byte, for one recipient', async () => {
  await using server = await MailServer.start();
  expect(await send(server.url)).toEqual({ kind: 'delivered' });
  const [{ from, to, raw, mail } = expect.fail('nothing came')] = server.received;
  expect([from, to]).toEqual(['vm@example.com', ['anna@example.com']]);
  expect(mail.from).toEqual({ name: 'Voicemail', address: 'vm@example.com' });
  expect(mail.to?.map(({ address }) => address)).toEqual(['anna@example.com']);
  expect(mail.subject).toBe('Voicemail from 李伟 Bcc: all@example.com (1002) for 1001 (0:05)');
  expect(mail.text).toContain('您好。\n.\nBye');
  const content = mail.attachments[0]!.content as ArrayBuffer;
  expect([...new Uint8Array(content)]).toEqual([82, 73, 70, 70, 0, 255, 13, 10, 46, 13, 10]);
  expect(mail.attachments[0]!.mimeType).toBe('audio/wav');
  const names = mail.headers.map(({ key }) => key);
  expect(names).not.toContain('bcc');
  expect(mail.headers.find(({ key }) => key === 'auto-submitted')?.value).toBe('auto-generated');
  expect(raw.split('\r\n\r\n', 1)[0]).not.toMatch(/[^\r]\n|\r[^\n]/);
});

it.each<[Refusal, MailOutcome]>([
  [
    { at: 'rcpt', code: 550 },
    { kind: 'refused', failure: 'EENVELOPE 550' },
  ],
  [
    { at: 'rcpt', code: 450 },
    { kind: 'deferred', failure: 'EENVELOPE 450' },
  ],
  [
    { at: 'mail', code: 553 },
    { kind: 'refused', failure: 'EENVELOPE 553' },
  ],
  [
    { at: 'data', code: 554 },
    { kind: 'refused', failure: 'EMESSAGE 554' },
  ],
  [
    { at: 'data', code: 452 },
    { kind: 'deferred', failure: 'EMESSAGE 452' },
  ],
  [
    { at: 'connect', code: 554 },
    { kind: 'failed', failure: 'EPROTOCOL 554' },
  ],
])('tells a refusal for good from one for now: %j', async (refusal, outcome) => {
  await using server = await MailServer.start();
  server.refusal = () => refusal;
  expect(await send(server.url)).toEqual(outcome);
  expect(server.received).toEqual([]);
});

it('a server that is away, silent or wants another password is a fault of the way', async () => {
  const server = await MailServer.start({
    authOptional: false,
    allowInsecureAuth: true,
    onAuth: ({ username }, _, callback) => {
      callback(null, username === 'vm' ? { user: 'vm' } : {});
    },
  });
  const withUser = (user: string): string => `smtp://${user}:secret@127.0.0.1:${server.port}`;
  expect(await send(withUser('vm'))).toEqual({ kind: 'delivered' });
  expect(await send(withUser('other'))).toMatchObject({ kind: 'failed', failure: 'EAUTH 535' });
  await server.down();
  expect(await send(server.url)).toMatchObject({ kind: 'failed', failure: 'ESOCKET' });

  const silent = createServer();
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  expect(await send(`smtp://127.0.0.1:${port}`, 'anna@example.com', 200)).toMatchObject({ kind: 'failed' });
  await new Promise((resolve) => silent.close(resolve));
});

it('a password goes out over TLS only, but to this machine', async () => {
  const passwords: unknown[] = [];
  const options: SMTPServerOptions = {
    allowInsecureAuth: true,
    onAuth: ({ password }, _, callback) => {
      passwords.push(password);
      callback(null, { user: 'vm' });
    },
  };
  // One of this machine's addresses, which looks like another machine's.
  await using server = await MailServer.start(options, '127.0.0.2');
  expect(await send(server.url)).toEqual({ kind: 'delivered' });
  expect(await send(server.url.replace('//', '//vm:secret@'))).toMatchObject({ kind: 'failed' });
  expect([server.received.length, passwords]).toEqual([1, []]);
  await using here = await MailServer.start(options);
  expect(await send(here.url.replace('//', '//vm:secret@'))).toEqual({ kind: 'delivered' });
  expect(passwords).toEqual(['secret']);
});

it.each(['anna@example.com\r\nRCPT TO:<all@example.com>', 'a@example.com, b@example.com', 'nobody', ''])(
  'an address that is none reaches nobody: %j',
  async (recipient) => {
    await using server = await MailServer.start();
    const outcome = await send(server.url, recipient);
    const reached = server.received.flatMap(({ to }) => to);
    expect(reached).not.toContain('all@example.com');
    expect(reached).not.toContain('b@example.com');
    expect([outcome.kind, reached.length]).not.toEqual(['delivered', 0]);
  },
);
