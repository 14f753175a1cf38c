import type { StoredCall, StoredLeg, StoredSentence } from '../../store/stored.ts';
import type { FileTranscript } from '../../transcribe/transcript.ts';

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
