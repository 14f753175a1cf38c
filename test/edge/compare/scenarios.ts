import { OFFER } from '../../support/sip-peer.ts';
import type { Scenario, Script } from './script.ts';

const line =
  (find: RegExp, replace: string) =>
  (text: string): string =>
    text.replace(find, replace);
const without = (name: string): ((text: string) => string) => line(new RegExp(`^${name}: .*\\r\\n`, 'm'), '');
const adding = (header: string): ((text: string) => string) =>
  line(/^Max-Forwards: /m, `${header}\r\nMax-Forwards: `);
const finalOf = (script: Script): Promise<string | undefined> => script.next(/^SIP\/2.0 [2-6]/);
/** For an INVITE whose final response only has to be acknowledged. */
const oneInvite = (
  id: string,
  user: string,
  edit?: (text: string) => string,
  more: Partial<Scenario> = {},
): Scenario => ({
  id,
  ...more,
  play: async (script) => {
    script.invite(user, edit === undefined ? {} : { edit });
    script.ack(await finalOf(script));
  },
});
/** For any other request outside a dialog. */
const oneRequest = (
  id: string,
  method: string,
  edit?: (text: string) => string,
  more: Partial<Scenario> = {},
): Scenario => ({
  id,
  ...more,
  play: async (script) => {
    script.request(method, edit === undefined ? {} : { edit });
    await script.next(/^SIP/);
  },
});
/** For one request inside an established call. */
const inCall = (
  id: string,
  method: string,
  options: Parameters<Script['request']>[1] = {},
  user = 'ok',
): Scenario => ({
  id,
  play: async (script) => {
    await script.establish(user);
    script.request(method, options);
    const final = await script.next(new RegExp(`^SIP/2.0 [2-6][^]*CSeq: \\d+ ${method}`));
    if (method === 'INVITE') script.ack(final);
  },
});
const EXTRA: Readonly<Record<string, string>> = {
  REFER: 'Refer-To: <sip:a@b>',
  SUBSCRIBE: 'Event: foo',
  NOTIFY: 'Event: foo\r\nSubscription-State: active',
  PUBLISH: 'Event: foo',
  PRACK: 'RAck: 1 1 INVITE',
};
const withExtra = (method: string): { headers?: string[] } =>
  EXTRA[method] === undefined ? {} : { headers: [EXTRA[method]] };

const INVITES: readonly Scenario[] = [
  {
    id: 'invite-answered-bye',
    shows: 'via',
    play: async (script) => {
      await script.establish();
      script.request('BYE');
      await script.next(/^SIP[^]*BYE/);
      script.sendAgain();
    },
  },
  oneInvite('invite-contact-of-app', 'contact'),
  oneInvite('invite-180-200', 'ring'),
  oneInvite('invite-486', 'busy'),
  oneInvite('invite-503-retry-after', 'full'),
  oneInvite('invite-302', 'moved'),
  oneInvite('invite-403-own-reason', 'reason'),
  oneInvite('invite-401-two-challenges', 'challenge'),
  oneInvite(
    'invite-two-vias-record-route',
    'ring',
    (text) =>
      text
        .replace(/^(Via: .*\r\n)/m, '$1Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKup\r\n')
        .replace(/^Max-Forwards/m, 'Record-Route: <sip:192.0.2.1;lr>\r\nMax-Forwards'),
    { shows: 'via' },
  ),
  oneInvite(
    'invite-vias-in-one-line',
    'busy',
    line(/^(Via: .*)\r\n/m, '$1, SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKproxy\r\n'),
    { shows: 'via' },
  ),
  oneInvite('invite-via-without-rport', 'busy', line(/;rport/, ''), { shows: 'via' }),
  oneInvite(
    'invite-via-other-address',
    'busy',
    line(/^Via: SIP\/2.0\/UDP [^;]+/m, 'Via: SIP/2.0/UDP 192.0.2.9:5060'),
    { shows: 'via' },
  ),
  oneInvite('invite-compact-headers', 'busy', (text) =>
    text
      .replace(/^From:/m, 'f:')
      .replace(/^To:/m, 't:')
      .replace(/^Call-ID:/m, 'i:')
      .replace(/^Contact:/m, 'm:')
      .replace(/^Via:/m, 'v:'),
  ),
  oneInvite('invite-lower-case-names', 'busy', (text) =>
    text.replace(/^([A-Z][A-Za-z-]*):/gm, (name) => name.toLowerCase()),
  ),
  oneInvite('invite-folded-header', 'busy', adding('Subject: one\r\n two')),
  oneInvite('invite-utf8-display-name', 'busy', line(/"Peer"/, Buffer.from('"Jürgen ☎"').toString('latin1'))),
  oneInvite('invite-tel-from', 'busy', line(/<sip:peer@example\.org>/, '<tel:+8613800138000>')),
  oneInvite('invite-tel-request-uri', 'busy', line(/^INVITE \S+/, 'INVITE tel:+8613800138000')),
  oneInvite('invite-unknown-require', 'busy', adding('Require: foobar')),
  oneInvite('invite-max-forwards-0', 'busy', line(/^Max-Forwards: 70/m, 'Max-Forwards: 0')),
  oneInvite('invite-no-max-forwards', 'busy', without('Max-Forwards')),
  oneInvite('invite-from-without-tag', 'busy', line(/;tag=from-\w+/, '')),
  oneInvite('invite-no-contact-refused', 'busy', without('Contact')),
  oneInvite('invite-body-longer-than-length', 'busy', (text) => `${text}trailing`),
  oneInvite('invite-unknown-to-tag', 'busy', line(/^(To: .*)\r$/m, '$1;tag=unknown\r')),
  {
    id: 'invite-delayed-offer',
    play: async (script) => {
      script.invite('ok', { body: '' });
      script.ack(await finalOf(script), { body: OFFER });
      script.request('BYE');
      await script.next(/^SIP[^]*BYE/);
    },
  },
  {
    id: 'invite-repeated-before-answer',
    counts: 'repeats',
    play: async (script) => {
      script.invite('late');
      await script.wait(150);
      script.sendAgain();
      script.ack(await finalOf(script));
    },
  },
  {
    id: 'invite-repeated-while-ringing',
    counts: 'repeats',
    play: async (script) => {
      script.invite('ringing');
      await script.next(/^SIP\/2.0 180/);
      script.sendAgain();
      await script.wait(200);
    },
  },
  {
    id: 'invite-repeated-after-200',
    counts: 'repeats',
    play: async (script) => {
      script.invite('ok');
      const final = await finalOf(script);
      script.sendAgain();
      await script.wait(100);
      script.ack(final);
    },
  },
  {
    id: 'invite-merged-before-answer',
    play: async (script) => {
      script.invite('late');
      await script.wait(100);
      const branch = script.call.branch;
      script.invite('late', { edit: (text) => text.replace(branch, `${branch}x`) });
      const first = await script.next(/^SIP\/2.0 [2-6][^]*INVITE/);
      script.ack(first);
      script.ack(await script.next(/^SIP\/2.0 [2-6][^]*INVITE/));
    },
  },
];

const CANCELS: readonly Scenario[] = [
  {
    id: 'cancel-before-any-answer',
    play: async (script) => {
      script.invite('silent');
      await script.next(/^SIP\/2.0 100/);
      await script.wait(100);
      script.request('CANCEL', { cseq: 1, branch: script.call.branch });
      script.ack(await script.next(/^SIP\/2.0 [2-6][^]*INVITE/));
    },
  },
  {
    id: 'cancel-while-ringing',
    play: async (script) => {
      script.invite('ringing');
      await script.next(/^SIP\/2.0 180/);
      script.toTag = undefined;
      script.request('CANCEL', { cseq: 1, branch: script.call.branch });
      script.ack(await script.next(/^SIP\/2.0 [2-6][^]*INVITE/));
    },
  },
  {
    id: 'cancel-after-200',
    play: async (script) => {
      script.invite('ok');
      const final = await finalOf(script);
      script.toTag = undefined;
      script.request('CANCEL', { cseq: 1, branch: script.call.branch });
      await script.next(/^SIP[^]*CANCEL/);
      script.ack(final);
    },
  },
  {
    id: 'cancel-after-486',
    play: async (script) => {
      script.invite('busy');
      const final = await finalOf(script);
      script.toTag = undefined;
      script.request('CANCEL', { cseq: 1, branch: script.call.branch });
      await script.next(/^SIP[^]*CANCEL/);
      script.ack(final);
    },
  },
  {
    id: 'cancel-of-nothing',
    play: async (script) => {
      script.request('CANCEL', { cseq: 1, branch: 'z9hG4bKnothing' });
      await script.next(/^SIP/);
    },
  },
  {
    id: 'cancel-repeated',
    counts: 'repeats',
    play: async (script) => {
      script.invite('ringing');
      await script.next(/^SIP\/2.0 180/);
      script.toTag = undefined;
      script.request('CANCEL', { cseq: 1, branch: script.call.branch });
      const final = await script.next(/^SIP\/2.0 487/);
      script.sendAgain();
      script.ack(final);
    },
  },
  {
    id: 'cancel-of-reinvite',
    play: async (script) => {
      await script.establish('pending');
      script.request('INVITE', { branch: 'z9hG4bK-again' + script.call.branch, body: OFFER });
      await script.next(/^SIP\/2.0 100[^]*CSeq: 2 INVITE/);
      await script.wait(100);
      script.request('CANCEL', { cseq: 2, branch: 'z9hG4bK-again' + script.call.branch });
      script.ack(await script.next(/^SIP\/2.0 [2-6][^]*CSeq: 2 INVITE/));
    },
  },
];

const OUTSIDE = [
  'OPTIONS',
  'MESSAGE',
  'INFO',
  'NOTIFY',
  'REGISTER',
  'SUBSCRIBE',
  'PUBLISH',
  'REFER',
  'UPDATE',
  'BYE',
  'PRACK',
  'FOO',
];
const METHODS: readonly Scenario[] = [
  ...OUTSIDE.map((method): Scenario => ({
    id: `outside-${method.toLowerCase()}`,
    play: async (script) => {
      script.request(method, withExtra(method));
      await script.next(/^SIP/);
    },
  })),
  ...[...OUTSIDE, 'ACK'].map((method): Scenario => ({
    id: `wrong-to-tag-${method.toLowerCase()}`,
    play: async (script) => {
      await script.establish();
      script.request(method, { ...withExtra(method), toTag: 'wrong' });
      await script.next(new RegExp(`^SIP[^]*${method}`));
    },
  })),
  oneRequest('ack-of-nothing', 'ACK'),
  {
    id: 'options-repeated',
    counts: 'repeats',
    play: async (script) => {
      script.request('OPTIONS');
      await script.next(/^SIP/);
      script.sendAgain();
      await script.wait(200);
    },
  },
  oneRequest('options-max-forwards-0', 'OPTIONS', line(/^Max-Forwards: 70/m, 'Max-Forwards: 0')),
  oneRequest('options-without-user-and-contact', 'OPTIONS', (text) =>
    without('Contact')(text.replace(/^OPTIONS sip:uas@/, 'OPTIONS sip:')),
  ),
];

const IN_CALL: readonly Scenario[] = [
  inCall('call-options', 'OPTIONS'),
  inCall('call-info', 'INFO', { body: 'Signal=5\r\n', contentType: 'application/dtmf-relay' }),
  inCall('call-info-refused', 'INFO', { body: 'x', contentType: 'text/plain' }, 'refuses'),
  inCall('call-update-with-sdp', 'UPDATE', { body: OFFER }),
  inCall('call-update-without-sdp', 'UPDATE'),
  inCall('call-update-refused', 'UPDATE', { body: OFFER }, 'refuses'),
  inCall('call-message', 'MESSAGE', { body: 'hi', contentType: 'text/plain' }),
  inCall('call-notify', 'NOTIFY', withExtra('NOTIFY')),
  inCall('call-refer', 'REFER', withExtra('REFER')),
  inCall('call-subscribe', 'SUBSCRIBE', withExtra('SUBSCRIBE')),
  inCall('call-prack-of-nothing', 'PRACK', withExtra('PRACK')),
  inCall('call-unknown-method', 'FOO'),
  inCall('call-reinvite', 'INVITE', { body: OFFER }),
  inCall('call-reinvite-without-sdp', 'INVITE'),
  inCall('call-reinvite-refused', 'INVITE', { body: OFFER }, 'refuses'),
  inCall('call-max-forwards-0', 'INFO', { edit: line(/^Max-Forwards: 70/m, 'Max-Forwards: 0') }),
  inCall('call-without-handlers-info', 'INFO', { body: 'x', contentType: 'text/plain' }, 'plain'),
  inCall('call-without-handlers-reinvite', 'INVITE', { body: OFFER }, 'plain'),
  inCall('call-bad-cseq-method', 'INFO', { cseqMethod: 'UPDATE' }),
  {
    id: 'call-lower-cseq',
    play: async (script) => {
      script.cseq = 10;
      script.invite('ok', { cseq: 10 });
      script.ack(await finalOf(script));
      script.request('INFO', { cseq: 4, body: 'x', contentType: 'text/plain' });
      await script.next(/^SIP[^]*INFO/);
    },
  },
  {
    id: 'call-info-repeated',
    counts: 'repeats',
    play: async (script) => {
      await script.establish();
      script.request('INFO', { body: 'x', contentType: 'text/plain' });
      await script.next(/^SIP[^]*INFO/);
      script.sendAgain();
      await script.wait(200);
    },
  },
  {
    id: 'call-second-reinvite-while-one-waits',
    play: async (script) => {
      await script.establish('pending');
      script.request('INVITE', { body: OFFER });
      await script.next(/^SIP\/2.0 100[^]*CSeq: 2 INVITE/);
      script.request('INVITE', { body: OFFER });
      script.ack(await script.next(/^SIP\/2.0 [2-6][^]*CSeq: 3 INVITE/));
    },
  },
  {
    id: 'call-bye-while-reinvite-waits',
    play: async (script) => {
      await script.establish('pending');
      script.request('INVITE', { body: OFFER });
      await script.next(/^SIP\/2.0 100[^]*CSeq: 2 INVITE/);
      script.request('BYE');
      script.ack(await script.next(/^SIP\/2.0 [2-6][^]*CSeq: 2 INVITE/));
    },
  },
  {
    id: 'call-bye-before-ack',
    play: async (script) => {
      script.invite('ok');
      await finalOf(script);
      script.request('BYE');
      await script.next(/^SIP[^]*BYE/);
    },
  },
  ...['BYE', 'INFO', 'INVITE', 'UPDATE', 'OPTIONS'].map((method): Scenario => ({
    id: `call-ended-${method.toLowerCase()}`,
    play: async (script) => {
      await script.establish();
      script.request('BYE');
      await script.next(/^SIP[^]*BYE/);
      script.request(method, method === 'INVITE' ? { body: OFFER } : {});
      const final = await script.next(new RegExp(`^SIP/2.0 [2-6][^]*CSeq: 3 ${method}`));
      if (method === 'INVITE') script.ack(final);
    },
  })),
  ...['UPDATE', 'INFO', 'OPTIONS', 'BYE'].map((method): Scenario => ({
    id: `early-${method.toLowerCase()}`,
    play: async (script) => {
      script.invite('ringing');
      await script.next(/^SIP\/2.0 180/);
      script.request(method, method === 'UPDATE' ? { body: OFFER } : {});
      await script.next(new RegExp(`^SIP/2.0 [2-6][^]*${method}`));
      script.ack(await script.next(/^SIP\/2.0 [2-6][^]*INVITE/, 400));
    },
  })),
];

const OF_APP: readonly Scenario[] = [
  {
    id: 'app-bye',
    play: async (script) => {
      await script.establish('hangup');
      script.reply(await script.next(/^BYE/), '200 OK');
    },
  },
  {
    id: 'app-bye-with-record-route',
    play: async (script) => {
      await script.establish('hangup', { edit: adding(`Record-Route: <sip:${script.peer.hostport};lr>`) });
      script.reply(await script.next(/^BYE/), '200 OK');
    },
  },
  {
    id: 'app-bye-contact-behind-nat',
    play: async (script) => {
      await script.establish('hangup', {
        edit: line(/^Contact: .*\r$/m, 'Contact: <sip:peer@192.0.2.7:5060>\r'),
      });
      script.reply(await script.next(/^BYE/), '200 OK');
    },
  },
  {
    id: 'app-info',
    play: async (script) => {
      await script.establish('asks');
      script.reply(await script.next(/^INFO/), '200 OK');
    },
  },
  {
    id: 'app-reinvite-accepted',
    play: async (script) => {
      await script.establish('reinvites');
      const asked = await script.next(/^INVITE/);
      script.reply(
        asked,
        '200 OK',
        [`Contact: <sip:peer@${script.peer.hostport}>`, 'Content-Type: application/sdp'],
        OFFER,
      );
      await script.next(/^ACK/);
    },
  },
  {
    id: 'app-reinvite-refused',
    play: async (script) => {
      await script.establish('reinvites');
      script.reply(await script.next(/^INVITE/), '488 Not Acceptable Here');
      await script.next(/^ACK/);
    },
  },
  {
    id: 'app-bye-unanswered',
    lasts: 'long',
    counts: 'repeats',
    play: async (script) => {
      await script.establish('hangup');
      await script.next(/^BYE/);
      await script.wait(2_000);
    },
  },
];

const TIMERS: readonly Scenario[] = [
  ...['1800;refresher=uac', '1800;refresher=uas', '1800', '30;refresher=uac'].map((value): Scenario => ({
    id: `timer-invite-${value.replace(/\W+/g, '-')}`,
    play: async (script) => {
      script.invite('ok', { headers: [`Session-Expires: ${value}`, 'Supported: timer'] });
      script.ack(await finalOf(script));
    },
  })),
  inCall('timer-reinvite-too-small', 'INVITE', {
    body: OFFER,
    headers: ['Session-Expires: 60', 'Supported: timer'],
  }),
  inCall('timer-update-too-small', 'UPDATE', { headers: ['Session-Expires: 60', 'Supported: timer'] }),
  inCall('timer-reinvite', 'INVITE', {
    body: OFFER,
    headers: ['Session-Expires: 900;refresher=uac', 'Supported: timer'],
  }),
  oneInvite('timer-unreadable', 'busy', adding('Session-Expires: abc')),
  {
    id: 'timer-no-ack',
    lasts: 'long',
    counts: 'repeats',
    play: async (script) => {
      script.invite('plain');
      await finalOf(script);
      script.reply(await script.next(/^BYE/, 36_000), '200 OK');
    },
  },
  {
    id: 'timer-no-ack-to-486',
    counts: 'repeats',
    play: async (script) => {
      script.invite('busy');
      const final = await finalOf(script);
      await script.next(/^SIP\/2.0 486/);
      script.ack(final);
    },
  },
];

const PRACKS: readonly Scenario[] = [
  ...(['Supported', 'Require'] as const).map((name): Scenario => ({
    id: `prack-${name.toLowerCase()}`,
    play: async (script) => {
      script.invite('reliable', { headers: [`${name}: 100rel`] });
      const ringing = await script.next(/^SIP\/2.0 183/);
      const rseq = /\r\nRSeq: *(\d+)/i.exec(ringing ?? '')?.[1] ?? '0';
      script.request('PRACK', { headers: [`RAck: ${rseq} 1 INVITE`] });
      await script.next(/^SIP\/2.0 [2-6][^]*PRACK/);
      script.ack(await script.next(/^SIP\/2.0 [2-6][^]*INVITE/, 2_000));
    },
  })),
  {
    id: 'prack-not-supported',
    play: async (script) => {
      script.invite('reliable');
      script.ack(await script.next(/^SIP\/2.0 [2-6][^]*INVITE/, 2_500));
    },
  },
  {
    id: 'prack-wrong-rack',
    play: async (script) => {
      script.invite('reliable', { headers: ['Supported: 100rel'] });
      const ringing = await script.next(/^SIP\/2.0 183/);
      const rseq = Number(/\r\nRSeq: *(\d+)/i.exec(ringing ?? '')?.[1] ?? '0');
      script.request('PRACK', { headers: [`RAck: ${rseq + 7} 1 INVITE`] });
      await script.next(/^SIP\/2.0 [2-6][^]*CSeq: 2 PRACK/, 500);
      // drachtio-server 0.9.10 ends when its application leaves while a reliable response waits for this.
      script.request('PRACK', { headers: [`RAck: ${rseq} 1 INVITE`] });
      script.ack(await script.next(/^SIP\/2.0 [2-6][^]*INVITE/, 2_500));
    },
  },
];

const MALFORMED: readonly Scenario[] = [
  oneInvite('bad-no-call-id', 'busy', without('Call-ID')),
  oneInvite('bad-no-to', 'busy', without('To')),
  oneInvite('bad-no-from', 'busy', without('From')),
  oneInvite('bad-no-cseq', 'busy', without('CSeq')),
  oneInvite('bad-no-via', 'busy', without('Via')),
  oneInvite('bad-cseq-method', 'busy', line(/CSeq: 1 INVITE/, 'CSeq: 1 OPTIONS')),
  oneInvite('bad-cseq-text', 'busy', line(/CSeq: 1 INVITE/, 'CSeq: abc INVITE')),
  oneInvite('bad-version', 'busy', line(/ SIP\/2\.0\r\nVia/, ' SIP/3.0\r\nVia')),
  oneInvite('bad-from', 'busy', line(/^From: .*\r$/m, 'From: <<<>>;tag=1\r')),
  oneInvite('bad-contact', 'busy', line(/^Contact: .*\r$/m, 'Contact: <sip:@@@::>\r')),
  oneInvite('bad-length-too-large', 'busy', line(/^Content-Length: \d+/m, 'Content-Length: 5000')),
  oneInvite('bad-length-text', 'busy', line(/^Content-Length: \d+/m, 'Content-Length: x')),
  oneInvite('bad-line-without-colon', 'busy', adding('Garbage line')),
  oneInvite('bad-http-request-uri', 'busy', line(/^INVITE \S+/, 'INVITE http://foo/')),
  oneRequest('bad-lower-case-method', 'OPTIONS', (text) =>
    text.replace(/^OPTIONS/, 'options').replace('2 OPTIONS', '2 options'),
  ),
  oneRequest('bad-bare-line-feeds', 'OPTIONS', line(/\r\n/g, '\n')),
  ...(
    [
      ['garbage', 'hello world\r\n\r\n'],
      ['keep-alive', '\r\n\r\n'],
      ['zeros', '\0\0\0\0'],
      [
        'stray-response',
        'SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: s\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n',
      ],
    ] as const
  ).map(([id, text]): Scenario => ({
    id: `bad-${id}`,
    play: async (script) => {
      script.send(text);
      await script.wait(100);
    },
  })),
];

const TCP: readonly Scenario[] = [
  {
    id: 'tcp-call',
    transport: 'tcp',
    shows: 'via',
    play: async (script) => {
      await script.establish('contact');
      script.request('BYE');
      await script.next(/^SIP[^]*BYE/);
    },
  },
  {
    id: 'tcp-app-bye',
    transport: 'tcp',
    play: async (script) => {
      await script.establish('hangup');
      script.reply(await script.next(/^BYE/), '200 OK');
    },
  },
  {
    id: 'tcp-keep-alive',
    transport: 'tcp',
    play: async (script) => {
      script.send('\r\n\r\n');
      await script.next(/^\r\n$/);
    },
  },
  {
    id: 'tcp-two-in-one-segment',
    transport: 'tcp',
    play: async (script) => {
      script.invite('busy');
      const first = await script.next(/^SIP\/2.0 4/);
      script.ack(first);
      const two: Buffer[] = [];
      for (const _ of [1, 2]) {
        script.request('OPTIONS', {
          edit: (text) => {
            two.push(Buffer.from(text, 'latin1'));
            return '';
          },
        });
      }
      script.send(Buffer.concat(two));
      await script.next(/^SIP[^]*CSeq: 3 OPTIONS/);
    },
  },
  {
    id: 'tcp-in-pieces',
    transport: 'tcp',
    play: async (script) => {
      const pieces: string[] = [];
      script.request('OPTIONS', {
        edit: (text) => {
          pieces.push(text.slice(0, 40), text.slice(40));
          return '';
        },
      });
      for (const piece of pieces) {
        script.send(Buffer.from(piece, 'latin1'));
        await script.wait(100);
      }
      await script.next(/^SIP[^]*OPTIONS/);
    },
  },
  oneInvite('tcp-bad-cseq', 'busy', line(/CSeq: 1 INVITE/, 'CSeq: abc INVITE'), { transport: 'tcp' }),
  oneInvite('tcp-bad-version', 'busy', line(/ SIP\/2\.0\r\nVia/, ' SIP/3.0\r\nVia'), { transport: 'tcp' }),
  oneRequest('tcp-no-length', 'OPTIONS', without('Content-Length'), { transport: 'tcp' }),
  oneRequest('tcp-via-of-udp', 'OPTIONS', line(/SIP\/2.0\/TCP/, 'SIP/2.0/UDP'), { transport: 'tcp' }),
  {
    id: 'tcp-garbage-then-request',
    transport: 'tcp',
    play: async (script) => {
      script.send('garbage garbage\r\n\r\n');
      await script.wait(200);
      script.request('OPTIONS');
      await script.next(/^SIP[^]*OPTIONS/);
    },
  },
  {
    id: 'tcp-large-body',
    transport: 'tcp',
    play: async (script) => {
      script.invite('busy', { body: `${OFFER}${'a=x:0123456789\r\n'.repeat(3_000)}` });
      script.ack(await finalOf(script));
    },
  },
];

export const SCENARIOS: readonly Scenario[] = [
  ...INVITES,
  ...CANCELS,
  ...METHODS,
  ...IN_CALL,
  ...OF_APP,
  ...TIMERS,
  ...PRACKS,
  ...MALFORMED,
  ...TCP,
];
