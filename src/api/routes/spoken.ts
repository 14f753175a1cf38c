import type { StoredCall, StoredLeg, StoredSentence } from '../../store/stored.ts';
import type { FileTranscript, TranscriptPause } from '../../transcribe/transcript.ts';
import type { CallPause } from '../pauses.ts';

const ROLE_NAMES = { agent: 'Agent', customer: 'Customer', mixed: 'Both', unknown: undefined } as const;

/** Who is heard on a leg, as a transcript names them: `Agent Anna`, `Customer`, `Speaker 2`. */
export function speakerOf({ role, name, legNo }: Pick<StoredLeg, 'role' | 'name' | 'legNo'>): string {
  const who = ROLE_NAMES[role] ?? `Speaker ${legNo + 1}`;
  return name === null ? who : `${who} ${name}`;
}

/**
 * A stored call as subtitles are written from: times are on the clock of its recording, which begins with the first
 * sample of any leg.
 */
export function transcriptOf(
  call: Pick<StoredCall, 'id'>,
  legs: readonly StoredLeg[],
  sentences: readonly StoredSentence[],
  pauses: readonly CallPause[],
): FileTranscript {
  const begins = legs.flatMap(({ startedAt }) => startedAt?.getTime() ?? []);
  // A sentence may be here before the snapshot that tells when its leg began.
  const clock = Math.min(...begins, ...sentences.map(({ beginAt, beginMs }) => beginAt.getTime() - beginMs));
  return {
    file: call.id,
    legs: legs.map((leg) => ({
      legNo: leg.legNo,
      speaker: speakerOf(leg),
      model: leg.model ?? '',
      requestId: '',
      codec: undefined,
      sentences: sentences.filter(({ legId }) => legId === leg.id).map((said) => onClock(said, clock)),
    })),
    pauses: pauses.map((pause) => spanOnClock(pause, legs, clock)),
  };
}

/** From where the first leg fell silent to where the last one is heard again. */
function spanOnClock(pause: CallPause, legs: readonly StoredLeg[], clock: number): TranscriptPause {
  const begins = new Map(
    legs.map(({ legNo, startedAt }) => [legNo, (startedAt?.getTime() ?? clock) - clock]),
  );
  const at = (legNo: number, ms: number): number => (begins.get(legNo) ?? 0) + ms;
  if (pause.legs.length === 0) {
    // Nobody was heard: what is left is when it was asked for.
    const endMs = pause.endAt === undefined ? undefined : pause.endAt.getTime() - clock;
    return { beginMs: pause.beginAt.getTime() - clock, endMs };
  }
  const ends = pause.legs.map(({ legNo, endMs }) => (endMs === undefined ? Infinity : at(legNo, endMs)));
  const end = Math.max(...ends);
  return {
    beginMs: Math.min(...pause.legs.map(({ legNo, beginMs }) => at(legNo, beginMs))),
    endMs: end === Infinity ? undefined : end,
  };
}

type Sentence = FileTranscript['legs'][number]['sentences'][number];

function onClock(said: StoredSentence, clock: number): Sentence {
  const shiftMs = said.beginAt.getTime() - said.beginMs - clock;
  return {
    sentenceId: said.sentenceNo,
    beginMs: said.beginMs + shiftMs,
    endMs: said.endMs + shiftMs,
    text: said.text,
    final: true,
    words: said.words.map(({ text, begin_ms, end_ms, punctuation }) => ({
      text,
      beginMs: begin_ms + shiftMs,
      endMs: end_ms + shiftMs,
      punctuation,
    })),
    emotion: undefined,
    usageSeconds: undefined,
  };
}
