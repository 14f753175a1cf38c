import { CallscribeError } from '../src/errors.ts';
import type { RouteVoicemail } from '../src/routing/route-rules.ts';
import type { LoadRoutesOptions } from '../src/routing/routes-file.ts';
import { readPromptFile } from '../src/voicemail/prompt-file.ts';
import type { VoicemailTerms } from '../src/voicemail/terms.ts';
import { BUILT_IN_BEEP, BUILT_IN_GREETING, CLOSING_TONE } from '../src/voicemail/tones.ts';

const FFMPEG = 'ffmpeg';

/** What is played where a rule has nothing of its own. */
export const voicemailTerms = (mailbox: string, route: RouteVoicemail): VoicemailTerms => ({
  ...route,
  mailbox,
  greeting: route.greeting ?? BUILT_IN_GREETING,
  beep: route.beep ?? BUILT_IN_BEEP,
  closing: CLOSING_TONE,
});

export const loadPrompt: NonNullable<LoadRoutesOptions['loadPrompt']> = async (
  directory,
  { path, maxMs },
) => {
  try {
    return { kind: 'prompt', prompt: await readPromptFile(path, { directory, maxMs, ffmpeg: FFMPEG }) };
  } catch (error) {
    if (!(error instanceof CallscribeError)) throw error;
    return { kind: 'fault', what: error.message };
  }
};
