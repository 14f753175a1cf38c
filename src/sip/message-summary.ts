/** How many messages wait in a mailbox. */
export interface MessageCounts {
  readonly newCount: number;
  readonly heardCount: number;
}

/** The event package, and the type of its bodies. RFC 3842 §3. */
export const MESSAGE_SUMMARY = 'message-summary';
export const SUMMARY_TYPE = 'application/simple-message-summary';

/** RFC 3842 §5.2: voice messages are all that there is here, and none is urgent. @param account URI of the mailbox */
export function messageSummary(account: string, { newCount, heardCount }: MessageCounts): string {
  const lines = [
    `Messages-Waiting: ${newCount > 0 ? 'yes' : 'no'}`,
    `Message-Account: ${account}`,
    `Voice-Message: ${newCount}/${heardCount} (0/0)`,
  ];
  return `${lines.join('\r\n')}\r\n`;
}
