import { describe, expect, it } from 'vitest';

import { readTranscribeCommandLine } from '../../src/transcribe/command-line.ts';

describe('the arguments of npm run transcribe', () => {
  it('have defaults', () => {
    expect(readTranscribeCommandLine(['a.wav', 'calls'])).toEqual({
      kind: 'run',
      paths: ['a.wav', 'calls'],
      options: { format: 'txt', store: false, rate: 8_000, speed: 8 },
    });
  });

  it('take every option', () => {
    const args = 'a.pcm --format vtt --output out --store --model m --rate 16000 --speed 2.5'.split(' ');
    expect(readTranscribeCommandLine(args)).toMatchObject({
      options: { format: 'vtt', output: 'out', store: true, model: 'm', rate: 16_000, speed: 2.5 },
    });
  });

  it('name every fault at once', () => {
    expect(() => readTranscribeCommandLine(['--format', 'doc', '--speed', '0', '--outpt', '--rate'])).toThrow(
      [
        'which file? name audio files or directories',
        '--outpt: there is no such option',
        '--format: found doc; expected json, txt, srt, vtt',
        '--rate: the value is missing',
        '--speed: found 0; expected a number from 0.1 to 1000',
      ].join('\n'),
    );
  });

  it('show the help', () => {
    expect(readTranscribeCommandLine(['--help'])).toMatchObject({ kind: 'help' });
  });
});
