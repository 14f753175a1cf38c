import type { DialogTags } from './dialog-user.ts';
import { headerValues } from './header-lines.ts';
import type { RequestText } from './invite.ts';

/**
 * What it takes to send a request within a dialog from a process that never saw it (RFC 3261 §12.1.1, as UAS). JSON.
 * The sequence number is not among it: ours was small, and any higher one is in order (§12.2.2).
 */
export interface DialogPlace extends DialogTags {
  /** Our From without its tag, the peer's To with its tag. */
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** URI of the peer's Contact. */
  readonly remoteTarget: string;
  /** In the order in which requests of ours visit them. */
  readonly routeSet: readonly string[];
}

/** The place of a dialog whose INVITE this was. */
export function dialogPlace(invite: RequestText, tags: DialogTags): DialogPlace {
  const [to = ''] = headerValues(invite, 'to', 't');
  const [from = ''] = headerValues(invite, 'from', 'f');
  const [contact = ''] = headerValues(invite, 'contact', 'm');
  return {
    ...tags,
    localAddress: to,
    remoteAddress: from,
    // A URI outside of brackets ends where the header's own parameters begin (§20.10).
    remoteTarget: /<([^>]*)>/.exec(contact)?.[1] ?? contact.split(/[;,]/, 1)[0]?.trim() ?? '',
    routeSet: headerValues(invite, 'record-route')
      .flatMap((value) => value.split(/,(?=\s*<)/))
      .map((route) => route.trim()),
  };
}

/** As drachtio-server and the embedded edge name the dialog of an INVITE that came in. */
export const edgeDialogId = ({ sipCallId, remoteTag }: DialogTags): string =>
  `${sipCallId};from-tag=${remoteTag}`;
