import type { Prompt } from '../rtp/prompt.ts';

/** What holds for one message, from the answer to the closing tone. */
export interface VoicemailTerms {
  readonly mailbox: string;
  readonly greeting: Prompt;
  readonly beep: Prompt;
  /** Told to the caller when the message ends and the line is open still. */
  readonly closing: Prompt;
  /** The longest message, from the end of the beep. */
  readonly maxMs: number;
  /** So long a silence ends the message. */
  readonly silenceMs: number;
  /** With less speech in it than that, a message is `short`. */
  readonly minSpeechMs: number;
  /** The key that ends the message; undefined: none does. */
  readonly finishKey: string | undefined;
  /** Who gets the message by e-mail. */
  readonly mailTo: readonly string[];
}
