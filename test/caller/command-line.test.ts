import { describe, expect, test } from 'vitest';

import { readCommandLine } from '../../src/caller/command-line.ts';
import { UsageError } from '../../src/caller/usage-error.ts';

const faults = (...args: string[]): readonly string[] => {
  try {
    readCommandLine(args);
  } catch (error) {
    if (error instanceof UsageError) return error.faults;
    throw error;
  }
  return [];
};

test('without arguments it is one SIPREC call of the sample to this machine', () => {
  expect(readCommandLine([])).toMatchObject({
    kind: 'run',
    mode: 'siprec',
    files: [],
    options: {
      to: { user: undefined, host: '127.0.0.1', port: 5060 },
      transport: 'udp',
      ptime: 20,
      loss: 0,
      calls: 1,
      json: false,
    },
  });
});

test('every option reaches its place', () => {
  const args =
    '--two-legs --to sip:rec@[::1]:5070 --transport tcp --codec pcma,PCMU --ptime 30 --loss 2% --reorder 0.01 --srtp 32 --srtp-mixed';
  const more =
    '--duplicate 1% --seed 7 --calls 20 --rate 2.5 --json --header X-Ucid:42 --from sip:1@x a.wav b.wav';
  expect(
    readCommandLine([...args.split(' '), ...more.split(' '), '--party', 'agent: 李娜 <sip:8001@pbx>']),
  ).toEqual({
    kind: 'run',
    mode: 'two-legs',
    files: ['a.wav', 'b.wav'],
    options: {
      to: { user: 'rec', host: '::1', port: 5070 },
      transport: 'tcp',
      codec: ['PCMA', 'PCMU'],
      ptime: 30,
      loss: 0.02,
      srtp: 'AES_CM_128_HMAC_SHA1_32',
      srtpMixed: true,
      reorder: 0.01,
      duplicate: 0.01,
      seed: 7,
      calls: 20,
      rate: 2.5,
      json: true,
      header: ['X-Ucid:42'],
      from: 'sip:1@x',
      party: [{ role: 'agent', name: '李娜', aor: 'sip:8001@pbx' }],
      keys: [],
    },
  });
});

test('a call that is listened to: keys, the wait for the BYE, and the file', () => {
  const args = '--plain --keys 5s:#,8.5s:1* --until-bye 90 --heard heard.wav';
  expect(readCommandLine(args.split(' '))).toMatchObject({
    options: {
      keys: [
        { atMs: 5_000, key: '#' },
        { atMs: 8_500, key: '1' },
        { atMs: 8_500, key: '*' },
      ],
      untilBye: 90_000,
      heard: 'heard.wav',
    },
  });
  expect(readCommandLine(['--until-bye'])).toMatchObject({ options: { untilBye: 60_000 } });
});

test('SRTP has tags of 80 bits where nothing else is asked', () => {
  const line = readCommandLine(['--srtp']);
  expect(line).toMatchObject({ options: { srtp: 'AES_CM_128_HMAC_SHA1_80', srtpMixed: false } });
});

describe('lists', () => {
  test.each([
    [['--loss', '2 %'], ['--loss: found 2 %; expected a share such as 2% or 0.02']],
    [['--loss', '60%'], ['--loss: found 60%; expected at most 50%']],
    [['--loss', '--json'], ['--loss: the value is missing']],
    [['--to', 'http://x'], ['--to: found http://x; expected sip:host:port or sip:user@host:port']],
    [['--to', 'sip:x:70000'], ['--to: found sip:x:70000; expected sip:host:port or sip:user@host:port']],
    [['--calls', '0'], ['--calls: found 0; expected a whole number from 1 to 10000']],
    [['--header', 'X: 1', '--header', 'bad'], ['--header: found bad; expected Name: value']],
    [
      ['--codec', 'opus'],
      ['--codec: found opus; expected PCMA or PCMU, or one for each leg such as PCMA,PCMU'],
    ],
    [
      ['--keys', '5s:E'],
      ['--keys: found 5s:E; expected times to 3600 s and keys, such as 5s:# or 2s:12,8.5s:*'],
    ],
    [
      ['--keys', '9999s:#'],
      ['--keys: found 9999s:#; expected times to 3600 s and keys, such as 5s:# or 2s:12,8.5s:*'],
    ],
    [['--until-bye', '0'], ['--until-bye: found 0; expected a whole number from 1 to 3600']],
    [
      ['--heard', 'x.wav', '--calls', '2'],
      ['--heard: needs --plain', '--heard: is of one call'],
    ],
    [['--plain', '--heard'], ['--heard: the value is missing']],
    [['--srtp', '64'], ['--srtp: found 64; expected nothing, 80 or 32']],
    [['--srtp-mixed'], ['--srtp-mixed: needs --srtp']],
    [['--what', 'a.wav'], ['--what: there is no such option']],
    [['--plain', '--siprec'], ['--plain, --siprec: choose one of them']],
  ])('%j', (args, expected) => {
    expect(faults(...args)).toEqual(expected);
  });

  test('all faults at once', () => {
    expect(
      faults('--what', '--loss', 'x', '--ptime', '25', '--rate', '0', '--plain', '--two-legs'),
    ).toHaveLength(5);
  });
});
