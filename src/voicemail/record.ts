/** How a message ended. `lost`: the process that took it died. */
export type VoicemailEnd = 'hangup' | 'key' | 'silence' | 'limit' | 'lost';

/** `empty`: nobody spoke. `short`: less than the mailbox asks for. */
export type VoicemailContent = 'message' | 'short' | 'empty';

/** Detail of the leg's event `voicemail_began`, which stands where the beep is over. */
export interface VoicemailBegan {
  readonly mailbox: string;
  /** On the leg's clock. */
  readonly beginMs: number;
  /** Who gets it by e-mail; none where the route names nobody. */
  readonly mailTo: readonly string[];
}

/** Detail of the leg's event `voicemail_ended`. Without it the message is `lost`, and goes on to the leg's end. */
export interface VoicemailEnded {
  /** On the leg's clock; before the closing tone, and without the key that ended it. */
  readonly endMs: number;
  readonly reason: Exclude<VoicemailEnd, 'lost'>;
  readonly content: VoicemailContent;
}

/** Detail of the call's event `voicemail_abandoned`: the caller hung up before the beep was over. */
export interface VoicemailAbandoned {
  readonly mailbox: string;
}
