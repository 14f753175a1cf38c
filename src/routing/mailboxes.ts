import type { RouteFacts } from './facts.ts';
import type { RouteRule, Routes } from './route-rules.ts';
import { MAILBOX_CHARACTERS_MAX } from './voicemail-schema.ts';

/** The mailbox that a call of a rule of mode `voicemail` is for; undefined: it names none that may be. */
export function mailboxOf({ settings }: RouteRule, facts: Pick<RouteFacts, 'called'>): string | undefined {
  const { mailbox = facts.called[0] } = settings.voicemail ?? {};
  return mailbox === undefined || mailbox.length > MAILBOX_CHARACTERS_MAX ? undefined : mailbox;
}

/**
 * The first rule by which messages come into a mailbox: one that names it, or that names none and takes calls of the user
 * with that name. What else such a rule asks of a call is not looked at.
 */
export function findMailbox({ rules }: Routes, mailbox: string): RouteRule | undefined {
  return rules.find(({ conditions, settings: { voicemail } }) => {
    if (voicemail === undefined) return false;
    if (voicemail.mailbox !== undefined) return voicemail.mailbox === mailbox;
    return conditions.every(
      (condition) =>
        condition.kind !== 'called' || condition.patterns.some((pattern) => pattern.matches(mailbox)),
    );
  });
}
