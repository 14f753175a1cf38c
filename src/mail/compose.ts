import type { Voicemail } from '../voicemail/message.ts';

/** An e-mail as the library takes it: one recipient, plain text, at most one file. */
export interface ComposedMail {
  readonly from: string;
  readonly to: { readonly name: ''; readonly address: string };
  readonly subject: string;
  readonly messageId: string;
  readonly headers: Record<string, string>;
  readonly text: string;
  readonly attachments: { filename: string; content: Buffer; contentType: 'audio/wav' }[];
}

/** The message's sound, or why it does not come with the e-mail. */
export type MailSound =
  | { readonly kind: 'wav'; readonly wav: Buffer }
  /** `none`: it could not be kept, or is kept no more; `elsewhere`: not on this machine. */
  | { readonly kind: 'none' | 'elsewhere' | 'large' };

export interface MailFacts {
  /** Of the row: makes the id, by which a repeat is known as such. */
  readonly mailId: string;
  /** RFC 5322 §3.4, with or without a name. */
  readonly from: string;
  readonly recipient: string;
  readonly voicemail: Omit<Voicemail, 'legId' | 'endedAt'>;
  readonly sound: MailSound;
}

const NAME_MAX_CHARACTERS = 60;

/**
 * The e-mail about a message. Its subject has who called and how long, and nothing of what was said: subjects are shown
 * on locked screens and stand in the logs of mail servers.
 */
export function composeMail({ mailId, from, recipient, voicemail, sound }: MailFacts): ComposedMail {
  const { callId, mailbox, beganAt, beginMs, endMs, endReason, text } = voicemail;
  const caller = callerOf(voicemail);
  const length = lengthOf(endMs - beginMs);
  const note = sound.kind === 'wav' ? [] : ['', SOUND_NOTES[sound.kind]];
  return {
    from,
    to: { name: '', address: recipient },
    subject: `Voicemail from ${caller} for ${oneLine(mailbox)} (${length})`,
    messageId: `<voicemail-${callId}-${mailId}@${domainOf(from)}>`,
    // RFC 3834 §5: no out-of-office reply comes back.
    headers: { 'Auto-Submitted': 'auto-generated' },
    text: [
      `From:    ${caller}`,
      `Mailbox: ${oneLine(mailbox)}`,
      `At:      ${beganAt.toISOString()}`,
      `Length:  ${length}${endReason === 'lost' ? ' (cut off by a fault of ours)' : ''}`,
      `Call:    ${callId}`,
      '',
      text === '' ? '(No words were recognised.)' : text,
      ...note,
      '',
    ].join('\n'),
    attachments:
      sound.kind === 'wav'
        ? [{ filename: `voicemail-${callId}.wav`, content: sound.wav, contentType: 'audio/wav' }]
        : [],
  };
}

const SOUND_NOTES = {
  none: '(There is no recording of this message.)',
  elsewhere: '(The recording is not on the machine that sent this e-mail.)',
  large: '(The recording is too large to be attached; it is kept.)',
} as const;

function callerOf({ caller, callerName }: Pick<Voicemail, 'caller' | 'callerName'>): string {
  const name = oneLine(callerName ?? '');
  const number = oneLine(caller ?? '');
  if (number === '') return name === '' ? 'unknown' : name;
  return name === '' || name === number ? number : `${name} (${number})`;
}

/** What came by SIP may hold anything: control characters and those that turn the direction of writing are left out. */
const oneLine = (text: string): string =>
  Array.from(text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim())
    .slice(0, NAME_MAX_CHARACTERS)
    .join('');

function lengthOf(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

const domainOf = (from: string): string => /@([A-Za-z0-9.-]+)>?\s*$/.exec(from)?.[1] ?? 'localhost';
