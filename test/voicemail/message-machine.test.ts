import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  type MessageAction,
  type MessageInput,
  type MessageState,
  nextMessage,
} from '../../src/voicemail/message-machine.ts';
import type { VoicemailTerms } from '../../src/voicemail/terms.ts';
import { BUILT_IN_BEEP, BUILT_IN_GREETING, CLOSING_TONE } from '../../src/voicemail/tones.ts';

const TERMS: VoicemailTerms = {
  mailbox: '1001',
  greeting: BUILT_IN_GREETING,
  beep: BUILT_IN_BEEP,
  closing: CLOSING_TONE,
  maxMs: 10_000,
  silenceMs: 3_000,
  minSpeechMs: 1_000,
  finishKey: '#',
  mailTo: ['a@example.com'],
};

type Bare<T> = T extends unknown ? Omit<T, 'nowMs' | 'atMs'> : never;
type BareInput = Bare<MessageInput>;

/** A message, and a clock that is the leg's too: it starts 100 ms after the answer. */
class Talk {
  state: MessageState = { kind: 'unanswered' };
  nowMs = 5_000;
  readonly #terms: VoicemailTerms;

  constructor(terms: Partial<VoicemailTerms> = {}) {
    this.#terms = { ...TERMS, ...terms };
  }

  give(input: BareInput, afterMs = 0): readonly MessageAction[] {
    this.nowMs += afterMs;
    const moment = { nowMs: this.nowMs, atMs: Math.max(0, this.nowMs - 5_100) };
    const step = nextMessage(this.state, { ...input, ...moment }, this.#terms);
    this.state = step.state;
    return step.actions;
  }

  /** Looks every 100 ms; @returns what came of it */
  pass(ms: number, over: Partial<Extract<BareInput, { kind: 'look' }>> = {}): readonly MessageAction[] {
    const actions: MessageAction[] = [];
    for (let passed = 0; passed < ms; passed += 100) actions.push(...this.give(look(over), 100));
    return actions;
  }

  static taking(terms: Partial<VoicemailTerms> = {}): Talk {
    const talk = new Talk(terms);
    talk.give({ kind: 'answered' });
    talk.pass(200);
    talk.give({ kind: 'played', prompt: 'greeting' }, 900);
    talk.give({ kind: 'played', prompt: 'beep' }, 300);
    return talk;
  }
}

const look = (over: Partial<Extract<BareInput, { kind: 'look' }>> = {}): BareInput => ({
  kind: 'look',
  media: 'some',
  speechMs: 0,
  listening: 'yes',
  ...over,
});
const key = (pressed: string, beginMs?: number): BareInput => ({
  kind: 'key',
  key: pressed,
  beginMs,
  speechMs: 0,
});
const kinds = (actions: readonly MessageAction[]): string[] =>
  actions.map((action) => (action.kind === 'play' ? `play ${action.prompt}` : action.kind));

describe('greeting and beep', () => {
  it('the greeting begins when the caller was heard, the message when the beep was', () => {
    const talk = new Talk();
    expect(talk.pass(1_000)).toEqual([]);
    talk.give({ kind: 'answered' });
    expect(talk.pass(300, { media: 'none' })).toEqual([]);
    expect(kinds(talk.pass(100))).toEqual(['play greeting']);
    expect(kinds(talk.give({ kind: 'played', prompt: 'greeting' }, 2_000))).toEqual(['play beep']);
    expect(talk.give({ kind: 'played', prompt: 'beep' }, 300)).toEqual([
      { kind: 'admit' },
      { kind: 'began', detail: { mailbox: '1001', beginMs: 3_600, mailTo: ['a@example.com'] } },
    ]);
  });

  it('a caller of whom nothing comes is greeted after 500 ms', () => {
    const talk = new Talk();
    talk.give({ kind: 'answered' });
    expect(talk.pass(400, { media: 'none' })).toEqual([]);
    expect(kinds(talk.pass(100, { media: 'none' }))).toEqual(['play greeting']);
  });

  it.each(['#', '*', '5'])('the key %s goes on to the beep, where it is one of those', (pressed) => {
    const talk = new Talk({ finishKey: '5' });
    talk.give({ kind: 'answered' });
    talk.pass(100);
    expect(kinds(talk.give(key(pressed)))).toEqual(['stop-playing', 'play beep']);
    // What was stopped is told, too, and means nothing any more.
    expect(talk.give({ kind: 'played', prompt: 'greeting' })).toEqual([]);
    expect(talk.give(key(pressed))).toEqual([]);
    expect(kinds(talk.give({ kind: 'played', prompt: 'beep' }))).toEqual(['admit', 'began']);
  });

  it('any other key does not', () => {
    const talk = new Talk();
    talk.give({ kind: 'answered' });
    talk.pass(100);
    expect(talk.give(key('1'))).toEqual([]);
    expect(talk.state.kind).toBe('greeting');
  });

  it.each<[string, (talk: Talk) => void]>([
    ['at once', () => undefined],
    ['in the greeting', (talk) => talk.pass(100)],
    [
      'in the beep',
      (talk) => {
        talk.pass(100);
        talk.give(key('#'));
      },
    ],
  ])('who hangs up %s has left no message', (_when, before) => {
    const talk = new Talk();
    talk.give({ kind: 'answered' });
    before(talk);
    expect(talk.give({ kind: 'gone', speechMs: 0 })).toEqual([
      { kind: 'abandoned', detail: { mailbox: '1001' } },
    ]);
  });

  it('a call that was never answered tells nothing', () => {
    expect(new Talk().give({ kind: 'gone', speechMs: 0 })).toEqual([]);
  });
});

describe('the end of a message', () => {
  const endedBy = (actions: readonly MessageAction[]): unknown =>
    actions.flatMap((action) => (action.kind === 'ended' ? [action.detail] : []))[0];

  it('the key: where it was pressed, with the closing tone, then the line is let go', () => {
    const talk = Talk.taking();
    const beginMs = 1_300;
    talk.pass(4_000, { speechMs: 100 });
    const actions = talk.give(key('#', beginMs + 3_900));
    expect(kinds(actions)).toEqual(['withhold', 'ended', 'play closing']);
    expect(endedBy(actions)).toEqual({ endMs: beginMs + 3_900, reason: 'key', content: 'message' });
    expect(kinds(talk.give({ kind: 'played', prompt: 'closing' }))).toEqual(['hang-up']);
    expect(talk.give({ kind: 'gone', speechMs: 0 })).toEqual([]);
  });

  it('another key is part of the message, and so is one that was held since before the beep', () => {
    const talk = Talk.taking();
    expect(talk.give(key('*', 2_000), 100)).toEqual([]);
    expect(talk.give(key('#', 1_200))).toEqual([]);
    expect(talk.state.kind).toBe('taking');
  });

  it('silence, counted anew after each word', () => {
    const talk = Talk.taking();
    talk.pass(2_000, { speechMs: 100 });
    expect(talk.pass(2_900)).toEqual([]);
    talk.pass(100, { speechMs: 10 });
    expect(talk.pass(2_900)).toEqual([]);
    expect(endedBy(talk.pass(100))).toEqual({ endMs: 9_300, reason: 'silence', content: 'message' });
  });

  it('a hold is no silence', () => {
    const talk = Talk.taking();
    talk.pass(2_900);
    expect(talk.pass(2_000, { listening: 'no' })).toEqual([]);
    expect(talk.pass(2_900)).toEqual([]);
    expect(kinds(talk.pass(100))).toEqual(['withhold', 'ended', 'play closing']);
  });

  it('nor is a time in which this process stood still', () => {
    const talk = Talk.taking();
    expect(talk.give(look(), 4_000)).toEqual([]);
    expect(talk.pass(2_400)).toEqual([]);
    expect(kinds(talk.pass(100))).toEqual(['withhold', 'ended', 'play closing']);
  });

  it('the limit, on the leg’s clock', () => {
    const talk = Talk.taking();
    const actions = talk.pass(10_000, { speechMs: 90 });
    expect(endedBy(actions)).toEqual({ endMs: 11_300, reason: 'limit', content: 'message' });
  });

  it('hang-up: without a tone', () => {
    const talk = Talk.taking();
    talk.pass(500, { speechMs: 100 });
    const actions = talk.give({ kind: 'gone', speechMs: 700 }, 700);
    expect(actions).toEqual([
      { kind: 'ended', detail: { endMs: 2_500, reason: 'hangup', content: 'message' } },
    ]);
  });

  it.each([
    [0, 'empty'],
    [290, 'empty'],
    [300, 'short'],
    [990, 'short'],
    [1_000, 'message'],
  ])('%i ms of speech: %s', (speechMs, content) => {
    expect(endedBy(Talk.taking().give({ kind: 'gone', speechMs }, 5_000))).toMatchObject({ content });
  });
});

describe('whatever happens, in whatever order', () => {
  const input: fc.Arbitrary<BareInput> = fc.oneof(
    fc.constant<BareInput>({ kind: 'answered' }),
    fc.record({
      kind: fc.constant('look' as const),
      media: fc.constantFrom('none', 'some'),
      speechMs: fc.constantFrom(0, 0, 100),
      listening: fc.constantFrom('yes', 'yes', 'no'),
    }),
    fc.record({
      kind: fc.constant('key' as const),
      key: fc.constantFrom('#', '*', '1'),
      beginMs: fc.option(fc.integer({ min: 0, max: 20_000 }), { nil: undefined }),
      speechMs: fc.constant(0),
    }),
    fc.record({
      kind: fc.constant('played' as const),
      prompt: fc.constantFrom('greeting', 'beep', 'closing'),
    }),
  );

  it('a message begins once and ends once, is kept only between, and each call is told of once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(input, fc.integer({ min: 0, max: 4_000 })), { maxLength: 60 }),
        (inputs) => {
          const talk = new Talk();
          const actions: MessageAction[] = [];
          for (const [each, afterMs] of inputs) actions.push(...talk.give(each, afterMs));
          const wasAnswered = talk.state.kind !== 'unanswered';
          actions.push(...talk.give({ kind: 'gone', speechMs: 0 }));
          actions.push(...talk.give({ kind: 'gone', speechMs: 0 }));
          const count = (kind: MessageAction['kind']): number =>
            actions.filter((action) => action.kind === kind).length;
          expect(count('began') + count('abandoned')).toBe(wasAnswered ? 1 : 0);
          expect(count('ended')).toBe(count('began'));
          expect(count('admit')).toBe(count('began'));
          expect(count('hang-up')).toBeLessThanOrEqual(1);
          const told = kinds(actions).filter((kind) =>
            ['admit', 'began', 'ended', 'withhold'].includes(kind),
          );
          expect(['admit,began,ended', 'admit,began,withhold,ended', '']).toContain(told.join(','));
          const began = actions.find((action) => action.kind === 'began')?.detail.beginMs ?? 0;
          const ended = actions.find((action) => action.kind === 'ended')?.detail.endMs ?? 0;
          expect(ended).toBeGreaterThanOrEqual(began);
          expect(talk.state.kind).toBe('over');
        },
      ),
      { seed: 7, numRuns: 2_000 },
    );
  });
});
