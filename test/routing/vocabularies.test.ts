import { describe, expect, it } from 'vitest';

import { readHotWords } from '../../src/routing/hot-words-file.ts';
import { readRoutes, type ReadRoutesOptions, type RoutesReading } from '../../src/routing/read-routes.ts';
import type { VocabularyLock } from '../../src/routing/vocabulary-lock.ts';
import { digestOf } from '../../src/routing/vocabulary-lock.ts';
import { routesReader } from '../../workers/routes.ts';

const MODEL = 'paraformer-realtime-8k-v2';

const read = (text: string, over: Partial<ReadRoutesOptions> = {}): RoutesReading =>
  readRoutes(text, { ...routesReader(MODEL), ...over });
const faultsOf = (text: string, over: Partial<ReadRoutesOptions> = {}): string[] => {
  const reading = read(text, over);
  if (reading.kind === 'routes') return [];
  return reading.faults.map(({ file, line, where, what }) => `${file ?? ''}:${line} ${where}: ${what}`);
};

const FILE = `
vocabulary_prefix: acme
vocabularies:
  day: { words: [携号转网, { text: VoLTE, weight: 3, lang: en }] }
  night: { file: words/night.txt, model: paraformer-realtime-v2 }
rules:
  - name: night
    when: { called: "1*" }
    set: { vocabulary: night, model: paraformer-realtime-v2 }
  - name: day
    set: { vocabulary: day }
`;
const readBeside = (path: string) =>
  path === 'words/night.txt'
    ? ({ kind: 'text', text: '\uFEFF# at night\r\n话费 4 zh\r\n\r\niPhone 15 5\r\n' } as const)
    : ({ kind: 'fault', what: 'cannot be read (ENOENT)' } as const);
const LOCK: VocabularyLock = {
  day: { id: 'vocab-acme-1', model: MODEL, digest: '' },
  night: { id: 'vocab-acme-2', model: 'paraformer-realtime-v2', digest: '' },
};

describe('hot words of the file of rules', () => {
  it('are read, and rules that name them have the ids of the lock', () => {
    const reading = read(FILE, { readBeside, lock: LOCK });
    if (reading.kind === 'faults') throw new Error(JSON.stringify(reading.faults));
    const { rules, hotWords } = reading.routes;
    expect(rules.map(({ settings }) => [settings.asr.vocabulary, settings.asr.vocabularyId])).toEqual([
      ['night', 'vocab-acme-2'],
      ['day', 'vocab-acme-1'],
    ]);
    expect(hotWords.prefix).toBe('acme');
    expect([...hotWords.lists.values()]).toEqual([
      {
        name: 'day',
        model: MODEL,
        words: [
          { text: '携号转网', weight: 4 },
          { text: 'VoLTE', weight: 3, lang: 'en' },
        ],
      },
      {
        name: 'night',
        model: 'paraformer-realtime-v2',
        words: [
          { text: '话费', weight: 4, lang: 'zh' },
          { text: 'iPhone 15', weight: 5 },
        ],
      },
    ]);
    expect(hotWords.stale).toEqual(['day', 'night']);
  });

  it('are as they were synced where the lock has the same words, in whatever order', () => {
    const words = [
      { text: 'VoLTE', weight: 3, lang: 'en' },
      { text: '携号转网', weight: 4 },
    ];
    const lock = { ...LOCK, day: { id: 'vocab-acme-1', model: MODEL, digest: digestOf(words) } };
    const reading = read(FILE, { readBeside, lock });
    expect(reading.kind === 'routes' && reading.routes.hotWords.stale).toEqual(['night']);
  });

  it('and rules need no ids where nobody asks for them', () => {
    const reading = read(FILE, { readBeside });
    expect(reading.kind === 'routes' && reading.routes.rules[0]?.settings.asr.vocabularyId).toBeUndefined();
  });
});

const list = (content: string): string =>
  `vocabulary_prefix: acme\nvocabularies:\n  day: ${content}\nrules: []`;
const RULE = 'rules:\n  - name: day\n    set:\n      vocabulary: day\n';

describe('what cannot be taken is said with its line', () => {
  it.each<[string, string, Partial<ReadRoutesOptions>, string[]]>([
    [
      'a list without an id',
      `vocabulary_prefix: acme\nvocabularies: { day: { words: [话费] } }\n${RULE}`,
      { lock: {} },
      [
        ':6 rules[0].set.vocabulary: the service has no list day yet, or its id is not noted: npm run vocabulary -- sync does both',
      ],
    ],
    [
      'a list that is not there',
      RULE,
      {},
      [':4 rules[0].set.vocabulary: there is no list day under vocabularies'],
    ],
    [
      'a list for another model',
      `vocabulary_prefix: acme\nvocabularies: { day: { model: paraformer-realtime-v2, words: [话费] } }\n${RULE}`,
      {},
      [
        `:6 rules[0].set.vocabulary: the list day is made for paraformer-realtime-v2; with ${MODEL} it would silently not be used`,
      ],
    ],
    [
      'two ways to name hot words',
      'rules:\n  - { name: a, set: { vocabulary: day, vocabulary_id: v } }',
      {},
      [':2 rules[0].set: at most one of vocabulary, vocabulary_id and phrase_id'],
    ],
    [
      'lists without a prefix',
      'vocabularies:\n  day: { words: [话费] }\nrules: []',
      {},
      [':2 vocabulary_prefix: expected: by it, lists of the account are known to be those of this file'],
    ],
    [
      'a prefix that the service does not take',
      'vocabulary_prefix: Acme-Rules\nrules: []',
      {},
      [':1 vocabulary_prefix: expected lower-case letters and digits, at least one and fewer than 10'],
    ],
    ['neither words nor a file', list('{}'), {}, [':3 vocabularies.day: expected words, or a file of them']],
    [
      'a file outside',
      list('{ file: ../words.txt }'),
      {},
      [':3 vocabularies.day.file: expected a path below the directory of this file'],
    ],
    [
      'a file that is not there',
      list('{ file: none.txt }'),
      { readBeside },
      [':3 vocabularies.day.file: cannot be read (ENOENT)'],
    ],
    [
      'a v1 model, whose lists the service shows to nobody',
      list('{ model: paraformer-realtime-8k-v1, words: [话费] }'),
      {},
      [
        ':3 vocabularies.day: found paraformer-realtime-8k-v1, allowed is a model that takes vocabularies; the v1 models take phrase lists (rule target-model)',
      ],
    ],
    [
      'a weight and a length that the service refuses',
      list(`\n    words:\n      - { text: 话费, weight: 6 }\n      - ${'一'.repeat(16)}`),
      {},
      [
        ':5 vocabularies.day word 1: found 6, allowed is a whole number from 1 to 5 (rule weight)',
        ':6 vocabularies.day word 2: found 16 characters, allowed is at most 15 characters, blanks included, where any of them is not ASCII (rule text-characters)',
      ],
    ],
    [
      'a word twice',
      list('{ words: [话费, 流量, 话费] }'),
      {},
      [':3 vocabularies.day.words[2]: the same as word 1'],
    ],
    [
      'more words than a list has',
      list(`{ words: [${Array.from({ length: 501 }, (_, no) => `w${no}`).join()}] }`),
      {},
      [
        ':3 vocabularies.day: found 501 hot words, allowed is at most 500 hot words in a list (rule entry-count)',
      ],
    ],
  ])('%s', (_name, text, over, faults) => {
    expect(faultsOf(text, over)).toEqual(faults);
  });

  it('also in the file of the words, by its own lines', () => {
    const text = '# words\n话费 9\n流量\n\nVoLTE 3 klingon\nVoLTE 3 tlh\n话费 4\n';
    const beside = { readBeside: () => ({ kind: 'text', text }) as const };
    expect(faultsOf(list('{ file: words.txt }'), beside)).toEqual([
      'words.txt:3 : expected a word, its weight from 1 to 5, and perhaps its language, such as: 携号转网 4 zh',
      'words.txt:5 : expected a word, its weight from 1 to 5, and perhaps its language, such as: 携号转网 4 zh',
    ]);
    const rest = text.replace('流量\n', '\n').replace(' klingon', '');
    const next = { readBeside: () => ({ kind: 'text', text: rest }) as const };
    expect(faultsOf(list('{ file: words.txt }'), next)).toEqual([
      'words.txt:6 [2]: the same as word 2',
      'words.txt:7 [3]: the same as word 1',
    ]);
    const last = { readBeside: () => ({ kind: 'text', text: '话费 9\nVoLTE 3 tlh' }) as const };
    expect(faultsOf(list('{ file: words.txt }'), last)).toEqual([
      'words.txt:1 vocabularies.day word 1: found 9, allowed is a whole number from 1 to 5 (rule weight)',
      'words.txt:2 vocabularies.day word 2: found "tlh", allowed is one of zh, en, ja, yue, ko, de, fr, ru (rule lang)',
    ]);
  });
});

describe('a file of hot words', () => {
  it.each([
    ['words.yaml', '- 话费\n- { text: VoLTE, weight: 3 }\n'],
    ['words.YML', '- { text: 话费, weight: 4 }\n- { text: VoLTE, weight: 3 }\n'],
    ['words.json', '[{"text":"话费","weight":4},{"text":"VoLTE","weight":3}]'],
    ['words.txt', '话费 4\nVoLTE\t3'],
    ['words', '  话费   4  \r# a word a line\rVoLTE 3\r'],
  ])('%s', (name, text) => {
    const reading = readHotWords(name, text);
    expect(reading.kind === 'words' && reading.words).toEqual([
      { text: '话费', weight: 4 },
      { text: 'VoLTE', weight: 3 },
    ]);
  });

  it.each([
    ['words.txt', '# nothing\n', 1, /Too small/],
    ['words.yaml', '', 1, /Too small/],
    ['words.yaml', '- 话费\n- {', 2, /flow/i],
    ['words.json', '{"话费": 4}', 1, /array/],
    ['words.yaml', '- 话费\n- { txt: VoLTE }', 2, /txt|expected/i],
  ])('%s with %j is none', (name, text, line, what) => {
    const reading = readHotWords(name, text);
    expect(reading.kind === 'faults' && reading.faults[0]).toMatchObject({
      line,
      what: expect.stringMatching(what) as string,
    });
  });
});
