import { z } from 'zod';

import { pathBeside } from './path-beside.ts';

/** What a number that is dialled may be; long enough for an address. */
export const MAILBOX_CHARACTERS_MAX = 128;
const RECIPIENTS_MAX = 32;

export const voicemailSchema = z.strictObject({
  mailbox: z
    .string()
    .trim()
    .min(1)
    .max(MAILBOX_CHARACTERS_MAX)
    .optional()
    .describe('Default: the user of the Request-URI, else of To'),
  greeting: pathBeside
    .optional()
    .describe('Path from this file to a WAV, or to what ffmpeg reads; 3 minutes at most. Default: a tone'),
  beep: pathBeside.optional().describe('Likewise, 5 seconds at most. Default: a tone'),
  max_seconds: z.int().min(1).max(3_600).default(180).describe('The longest message'),
  silence_seconds: z.number().min(1).max(600).default(5).describe('So long a silence ends the message'),
  min_seconds: z
    .number()
    .min(0)
    .max(60)
    .default(1)
    .describe('With less speech in it a message is short: kept, and nobody is told by e-mail'),
  finish_key: z
    .enum(['#', '*', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'none'])
    .default('#')
    .describe('Ends the message'),
  mail_to: z.array(z.email()).max(RECIPIENTS_MAX).default([]).describe('Who gets text and sound by e-mail'),
});

export type VoicemailOfFile = z.infer<typeof voicemailSchema>;
