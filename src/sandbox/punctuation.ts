import type { RecognitionEvent } from './recogniser.ts';

/** Marks that stand at the end of a word; an apostrophe, a decimal point or a placeholder's bracket does not. */
const MARKS = /[，。！？；：、…]|[,.!?;:](?=\s|$)/gu;

/** As the service gives it with `punctuation_prediction_enabled` off. */
export function withoutPunctuation(event: RecognitionEvent): RecognitionEvent {
  return {
    ...event,
    text: event.text.replace(MARKS, ''),
    words: event.words.map((word) => ({ ...word, punctuation: '' })),
  };
}
