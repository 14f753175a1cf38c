import type { VoicemailAbandoned, VoicemailBegan, VoicemailContent, VoicemailEnded } from './record.ts';
import type { VoicemailTerms } from './terms.ts';

export type PromptName = 'greeting' | 'beep' | 'closing';

/**
 * Where a message stands:
 *
 *     unanswered ──answered──▶ waiting ──media, or 500 ms──▶ greeting ──played, or a key──▶ beeping ──played──▶ taking
 *                                 └──────────────────────key──────────────────────────────────▲                    │
 *                                                                        key, silence, limit ─────────────────────┤
 *                                     over ◀──played── closing ◀──────────────────────────────────────────────────┘
 *
 * and from everywhere to `over`, when the caller is gone.
 */
export type MessageState =
  | { readonly kind: 'unanswered' }
  | { readonly kind: 'waiting'; readonly sinceMs: number }
  | { readonly kind: 'greeting' }
  | { readonly kind: 'beeping' }
  | {
      readonly kind: 'taking';
      readonly sinceMs: number;
      /** On the leg's clock. */
      readonly beginMs: number;
      readonly lookedAtMs: number;
      readonly silentMs: number;
      readonly speechMs: number;
    }
  | { readonly kind: 'closing' }
  | { readonly kind: 'over' };

/** When: `nowMs` is monotonic, `atMs` is how far the leg's clock has come. */
export interface Moment {
  readonly nowMs: number;
  readonly atMs: number;
}

export type MessageInput = Moment &
  (
    | { readonly kind: 'answered' }
    /** Now and then, a few times a second. */
    | {
        readonly kind: 'look';
        /** Whether anything came from the caller yet. */
        readonly media: 'none' | 'some';
        /** Speech since the last one. */
        readonly speechMs: number;
        /** `no`: the caller is on hold, or somebody asked that nothing be kept; that is no silence. */
        readonly listening: 'yes' | 'no';
      }
    /** @see TelephoneEvent; `beginMs` undefined: before the leg's clock had started. */
    | {
        readonly kind: 'key';
        readonly key: string;
        readonly beginMs: number | undefined;
        readonly speechMs: number;
      }
    | { readonly kind: 'played'; readonly prompt: PromptName }
    /** The call is over, by whoever. */
    | { readonly kind: 'gone'; readonly speechMs: number }
  );

export type MessageAction =
  | { readonly kind: 'play'; readonly prompt: PromptName }
  /** Of what is being played the rest is left out. */
  | { readonly kind: 'stop-playing' }
  /** From here on the leg is kept and recognised; or no more. */
  | { readonly kind: 'admit' }
  | { readonly kind: 'withhold' }
  | { readonly kind: 'began'; readonly detail: VoicemailBegan }
  | { readonly kind: 'ended'; readonly detail: VoicemailEnded }
  | { readonly kind: 'abandoned'; readonly detail: VoicemailAbandoned }
  | { readonly kind: 'hang-up' };

export interface MessageStep {
  readonly state: MessageState;
  /** In this order. */
  readonly actions: readonly MessageAction[];
}

/** Callers behind a NAT hear nothing before they have sent something; those that never send are greeted all the same. */
const MEDIA_WAIT_MAX_MS = 500;
/** Of a process that stood still, what it did not hear meanwhile is no silence. */
const LOOK_MAX_MS = 500;
/** Less is a click, or the beep that comes back from the caller's side. */
const SPEECH_MIN_MS = 300;
/** Besides the key that ends a message these go on to the beep. */
const SKIP_KEYS = ['#', '*'];

/** One message of one caller. Pure; an input that has no meaning in a state changes nothing. */
export function nextMessage(state: MessageState, input: MessageInput, terms: VoicemailTerms): MessageStep {
  if (input.kind === 'gone') return goneFrom(state, input, terms);
  switch (state.kind) {
    case 'unanswered':
      return input.kind === 'answered' ? to({ kind: 'waiting', sinceMs: input.nowMs }) : to(state);
    case 'waiting': {
      if (isSkip(input, terms)) return to({ kind: 'beeping' }, PLAY_BEEP);
      const isDue =
        input.kind === 'look' && (input.media === 'some' || input.nowMs - state.sinceMs >= MEDIA_WAIT_MAX_MS);
      return isDue ? to({ kind: 'greeting' }, { kind: 'play', prompt: 'greeting' }) : to(state);
    }
    case 'greeting':
      if (isSkip(input, terms)) return to({ kind: 'beeping' }, { kind: 'stop-playing' }, PLAY_BEEP);
      return isPlayed(input, 'greeting') ? to({ kind: 'beeping' }, PLAY_BEEP) : to(state);
    case 'beeping':
      return isPlayed(input, 'beep') ? beginAt(input, terms) : to(state);
    case 'taking':
      return take(state, input, terms);
    case 'closing':
      return isPlayed(input, 'closing') ? to({ kind: 'over' }, { kind: 'hang-up' }) : to(state);
    case 'over':
      return to(state);
    default:
      return state satisfies never;
  }
}

type Taking = Extract<MessageState, { readonly kind: 'taking' }>;

const PLAY_BEEP: MessageAction = { kind: 'play', prompt: 'beep' };

const to = (state: MessageState, ...actions: readonly MessageAction[]): MessageStep => ({ state, actions });

const isSkip = (input: MessageInput, { finishKey }: VoicemailTerms): boolean =>
  input.kind === 'key' && (SKIP_KEYS.includes(input.key) || input.key === finishKey);

const isPlayed = (input: MessageInput, prompt: PromptName): boolean =>
  input.kind === 'played' && input.prompt === prompt;

function beginAt({ nowMs, atMs }: Moment, { mailbox, mailTo }: VoicemailTerms): MessageStep {
  const taking: Taking = {
    kind: 'taking',
    sinceMs: nowMs,
    beginMs: atMs,
    lookedAtMs: nowMs,
    silentMs: 0,
    speechMs: 0,
  };
  return to(taking, { kind: 'admit' }, { kind: 'began', detail: { mailbox, beginMs: atMs, mailTo } });
}

function take(state: Taking, input: MessageInput, terms: VoicemailTerms): MessageStep {
  if (input.kind === 'key') {
    const { key, beginMs = input.atMs } = input;
    // One that was held down since before the beep was meant to skip the greeting.
    if (key !== terms.finishKey || beginMs < state.beginMs) return to(state);
    return close(spoke(state, input.speechMs), beginMs, 'key', terms);
  }
  if (input.kind !== 'look') return to(state);
  const heard = spoke(state, input.speechMs);
  const sinceLookMs = Math.min(input.nowMs - state.lookedAtMs, LOOK_MAX_MS);
  const isSilent = input.listening === 'yes' && input.speechMs === 0;
  const looked: Taking = {
    ...heard,
    lookedAtMs: input.nowMs,
    silentMs: isSilent ? state.silentMs + sinceLookMs : 0,
  };
  if (input.nowMs - state.sinceMs >= terms.maxMs) {
    return close(looked, Math.min(input.atMs, state.beginMs + terms.maxMs), 'limit', terms);
  }
  return looked.silentMs >= terms.silenceMs ? close(looked, input.atMs, 'silence', terms) : to(looked);
}

const spoke = (state: Taking, speechMs: number): Taking => ({
  ...state,
  speechMs: state.speechMs + speechMs,
});

/** Said with a tone: the line is open. */
function close(
  state: Taking,
  endMs: number,
  reason: Exclude<VoicemailEnded['reason'], 'hangup'>,
  terms: VoicemailTerms,
): MessageStep {
  return to(
    { kind: 'closing' },
    { kind: 'withhold' },
    { kind: 'ended', detail: endedAt(state, endMs, reason, terms) },
    { kind: 'play', prompt: 'closing' },
  );
}

function goneFrom(
  state: MessageState,
  input: Extract<MessageInput, { readonly kind: 'gone' }>,
  terms: VoicemailTerms,
): MessageStep {
  const over: MessageState = { kind: 'over' };
  switch (state.kind) {
    case 'waiting':
    case 'greeting':
    case 'beeping':
      return to(over, { kind: 'abandoned', detail: { mailbox: terms.mailbox } });
    case 'taking': {
      const detail = endedAt(spoke(state, input.speechMs), input.atMs, 'hangup', terms);
      return to(over, { kind: 'ended', detail });
    }
    case 'unanswered':
    case 'closing':
    case 'over':
      return to(over);
    default:
      return state satisfies never;
  }
}

function endedAt(
  { beginMs, speechMs }: Taking,
  endMs: number,
  reason: VoicemailEnded['reason'],
  { minSpeechMs }: VoicemailTerms,
): VoicemailEnded {
  return { endMs: Math.max(beginMs, endMs), reason, content: contentOf(speechMs, minSpeechMs) };
}

const contentOf = (speechMs: number, minSpeechMs: number): VoicemailContent =>
  speechMs < SPEECH_MIN_MS ? 'empty' : speechMs < minSpeechMs ? 'short' : 'message';
