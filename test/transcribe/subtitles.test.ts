import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Sentence } from '../../src/dashscope/recognition-result.ts';
import { writeTranscript } from '../../src/transcribe/formats.ts';
import { toSrt, toVtt, wrap } from '../../src/transcribe/subtitles.ts';
import type { FileTranscript } from '../../src/transcribe/transcript.ts';

function sentence(
  text: string,
  beginMs: number,
  endMs: number | undefined,
  facts: Partial<Sentence> = {},
): Sentence {
  return {
    sentenceId: 1,
    beginMs,
    endMs,
    text,
    final: true,
    words: [],
    emotion: undefined,
    usageSeconds: undefined,
    ...facts,
  };
}

const leg = (legNo: number, ...sentences: Sentence[]): FileTranscript['legs'][number] => ({
  legNo,
  model: 'paraformer-realtime-8k-v2',
  requestId: 'a',
  codec: undefined,
  sentences,
});
const mono = (...sentences: Sentence[]): FileTranscript => ({ file: 'a.wav', legs: [leg(0, ...sentences)] });

describe('SRT', () => {
  it('numbers cues, and writes times with hours and a comma', () => {
    const transcript = mono(sentence('您好。', 600, 1_805), sentence('再见。', 3_661_001, 3_662_000));
    expect(toSrt(transcript)).toBe(
      '1\n00:00:00,600 --> 00:00:01,805\n您好。\n\n2\n01:01:01,001 --> 01:01:02,000\n再见。\n',
    );
  });

  it('gives half a second to a sentence whose end is not known', () => {
    expect(toSrt(mono(sentence('嗯', 1_000, undefined)))).toContain('00:00:01,000 --> 00:00:01,500');
  });

  it('names the channels of a stereo file, in the order of the conversation', () => {
    const legs = [
      leg(0, sentence('A', 0, 900), sentence('C', 2_000, 2_900)),
      leg(1, sentence('B', 1_000, 1_900)),
    ];
    const texts = toSrt({ file: 'a.wav', legs }).match(/\[.*/g);
    expect(texts).toEqual(['[1] A', '[2] B', '[1] C']);
  });

  it('shows pauses among the sentences, as nobody’s', () => {
    const legs = [leg(0, sentence('A', 0, 900)), leg(1, sentence('B', 40_000, 41_000))];
    const pauses = [
      { beginMs: 12_000, endMs: 31_000 },
      { beginMs: 3_725_000, endMs: undefined },
    ];
    const transcript = { file: 'a.wav', legs, pauses };
    expect(toSrt(transcript).match(/.*(?:A|B|paused).*/g)).toEqual([
      '[1] A',
      '[paused 00:12–00:31]',
      '[2] B',
      '[paused since 62:05]',
    ]);
    expect(toSrt(transcript)).toContain('2\n00:00:12,000 --> 00:00:31,000\n[paused 00:12–00:31]\n');
    expect(toVtt(transcript)).toContain('\n00:00:12.000 --> 00:00:31.000\n[paused 00:12–00:31]\n');
    expect(writeTranscript(transcript, 'txt')).toBe(
      '[1] A\n[paused 00:12–00:31]\n[2] B\n[paused since 62:05]\n',
    );
  });

  it('keeps what would end a cue or look like its time out of the text', () => {
    const srt = toSrt(mono(sentence('a\n\nb --> c', 0, 1_000)));
    expect(srt).toBe('1\n00:00:00,000 --> 00:00:01,000\na b → c\n');
  });

  it('is empty for silence', () => {
    expect(toSrt(mono())).toBe('');
  });

  it('shows a long sentence two lines at a time, each with the time of its words', () => {
    const half = '这是一个很长的句子用来看看它会不会被分成几行';
    const words = [
      { beginMs: 0, endMs: 4_000, text: half, punctuation: '' },
      { beginMs: 4_000, endMs: 8_000, text: half, punctuation: '' },
      { beginMs: 9_000, endMs: 9_900, text: half, punctuation: '。' },
    ];
    const srt = toSrt(mono(sentence(`${half}${half}${half}。`, 0, 9_900, { words })));
    expect(srt.match(/.* --> .*/g)).toEqual([
      '00:00:00,000 --> 00:00:09,000',
      '00:00:09,000 --> 00:00:09,900',
    ]);
    expect(srt.split('\n\n').map((cue) => cue.split('\n').length)).toEqual([4, 5]);
  });
});

describe('WebVTT', () => {
  it('begins with its name and writes times with a full stop', () => {
    expect(toVtt(mono(sentence('您好。', 600, 1_805)))).toBe(
      'WEBVTT\n\n00:00:00.600 --> 00:00:01.805\n您好。\n',
    );
  });

  it('escapes markup', () => {
    expect(toVtt(mono(sentence('a < b && b --> c', 0, 1_000)))).toContain('a &lt; b &amp;&amp; b --&gt; c');
  });

  it('gives each channel a voice', () => {
    const legs = [leg(0, sentence('A', 0, 900)), leg(1, sentence('B', 1_000, 1_900))];
    expect(toVtt({ file: 'a.wav', legs })).toContain('<v Channel 2>B');
  });
});

describe('wrapping', () => {
  it.each([
    ['', []],
    ['short', ['short']],
    ['一二三四五六七八九十一二三四五六七八九十', ['一二三四五六七八九十一二三四五六七八九十']],
    // 21 characters of two columns: behind the comma, since it is in the second half.
    ['一二三四五六七八九十一二三，四五六七八九十', ['一二三四五六七八九十一二三，', '四五六七八九十']],
    // Without one: anywhere, but no line begins with a mark.
    ['一二三四五六七八九十一二三四五六七八九十。', ['一二三四五六七八九十一二三四五六七八九', '十。']],
    [
      'the quick brown fox jumps over the lazy dog again',
      ['the quick brown fox jumps over the lazy', 'dog again'],
    ],
    // 38 columns of characters, then a word: it stays whole.
    ['一二三四五六七八九十一二三四五六七八九VoLTE', ['一二三四五六七八九十一二三四五六七八九', 'VoLTE']],
  ])('of %j', (text, lines) => {
    expect(wrap(text)).toEqual(lines);
  });

  it('loses nothing but blanks, and no line is too wide', () => {
    const characters = fc.constantFrom('您', '好', '，', '。', 'a', 'B', '1', ' ', '𠮷', '가');
    fc.assert(
      fc.property(fc.array(characters, { maxLength: 120 }), (all) => {
        const text = all.join('');
        const lines = wrap(text);
        expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
        for (const line of lines) {
          const columns = Array.from(line).reduce((sum, each) => sum + (/[a-zB1 ]/.test(each) ? 1 : 2), 0);
          expect(columns).toBeLessThanOrEqual(40);
          expect(line).not.toBe('');
        }
      }),
    );
  });
});
