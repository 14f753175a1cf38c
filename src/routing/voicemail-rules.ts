import type { Prompt } from '../rtp/prompt.ts';
import type { RouteVoicemail } from './route-rules.ts';
import type { RuleOfFile } from './routes-schema.ts';
import { type VoicemailOfFile, voicemailSchema } from './voicemail-schema.ts';

/** Something to be played, in a file beside the rules. */
export interface PromptFile {
  /** From theirs. */
  readonly path: string;
  readonly maxMs: number;
}

export type PromptBeside =
  { readonly kind: 'prompt'; readonly prompt: Prompt } | { readonly kind: 'fault'; readonly what: string };

export interface PromptOptions {
  /** Default: nothing can be read. */
  readonly readPrompt?: (file: PromptFile) => PromptBeside;
}

const GREETING_MAX_MS = 180_000;
const BEEP_MAX_MS = 5_000;

/** What a rule says of messages, with what is wrong with its sounds. */
export function compileVoicemail(
  { mode, voicemail }: RuleOfFile['set'],
  options: PromptOptions,
): {
  readonly voicemail: RouteVoicemail | undefined;
  readonly faults: readonly { readonly setting: keyof VoicemailOfFile; readonly what: string }[];
} {
  if (mode !== 'voicemail') return { voicemail: undefined, faults: [] };
  const given = voicemail ?? voicemailSchema.parse({});
  const faults: { setting: keyof VoicemailOfFile; what: string }[] = [];
  const read = (setting: 'greeting' | 'beep', maxMs: number): Prompt | undefined => {
    const path = given[setting];
    if (path === undefined) return undefined;
    const found = options.readPrompt?.({ path, maxMs }) ?? { kind: 'fault', what: 'is not read here' };
    if (found.kind === 'prompt') return found.prompt;
    faults.push({ setting, what: `${path}: ${found.what}` });
    return undefined;
  };
  return {
    voicemail: {
      mailbox: given.mailbox,
      greeting: read('greeting', GREETING_MAX_MS),
      beep: read('beep', BEEP_MAX_MS),
      maxMs: given.max_seconds * 1_000,
      silenceMs: given.silence_seconds * 1_000,
      minSpeechMs: given.min_seconds * 1_000,
      finishKey: given.finish_key === 'none' ? undefined : given.finish_key,
      mailTo: [...new Set(given.mail_to)],
    },
    faults,
  };
}
