import type { RouteFacts } from './facts.ts';
import type { RouteRule, Routes } from './route-rules.ts';
import { MAILBOX_CHARACTERS_MAX } from './voicemail-schema.ts';

/** The mailbox that a call of a rule of mode `voicemail` is for; undefined: it names none that may be. */
export function mailboxOf({ settings }: RouteRule, facts: Pick<RouteFacts, 'called'>): string | undefined {
  const { mailbox = facts.called[0] } = settings.voicemail ?? {};
  return mailbox === undefined || mailbox.length > MAILBOX_CHARACTERS_MAX ? undefined : mailbox;
}

/**
 * Whose the mailbox is that a peer asks about: by the rules that name it, or that name none and take calls of that user,
 * of those that take calls from the peer's address. What else a rule asks of a call is not looked at. Undefined: there is
 * none, or it is not clear whose, so that nobody is told of another's messages.
 */
export function tenantOfMailbox(
  { rules }: Routes,
  asked: { readonly mailbox: string; readonly source: string; readonly tenantDefault: string },
): string | undefined {
  const found = rules.filter(
    ({ conditions, settings: { voicemail } }) =>
      voicemail !== undefined &&
      (voicemail.mailbox ?? asked.mailbox) === asked.mailbox &&
      conditions.every((condition) => {
        if (condition.kind === 'source') return condition.blocks.contains(asked.source);
        const isNamed = condition.kind !== 'called' || voicemail.mailbox !== undefined;
        return isNamed || condition.patterns.some((pattern) => pattern.matches(asked.mailbox));
      }),
  );
  const tenants = new Set(found.map(({ settings }) => settings.tenant ?? asked.tenantDefault));
  return tenants.size === 1 ? [...tenants][0] : undefined;
}
