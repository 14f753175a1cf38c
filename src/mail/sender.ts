import { createTransport } from 'nodemailer';

import { systemCode } from '../errors.ts';
import type { ComposedMail } from './compose.ts';

/**
 * - `refused`: the server will never take this e-mail (RFC 5321 §4.2.1: 5yz to its sender, recipient or content);
 * - `deferred`: it may take it later;
 * - `failed`: no e-mail would have fared better: no connection, no greeting, a wrong password.
 */
export type MailOutcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'refused' | 'deferred' | 'failed'; readonly failure: string };

/** Never rejects. */
export type SendMail = (mail: ComposedMail) => Promise<MailOutcome>;

export interface MailSenderOptions {
  /** `smtp:` or `smtps:`, with user and password where the server wants them. */
  readonly url: string;
  /** For the connection, and for each answer of the server. */
  readonly timeoutMs: number;
}

const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);

/**
 * Sends by SMTP, one connection an e-mail. A password goes out over TLS only, but to a server on this machine;
 * certificates are checked unless the URL says otherwise (`?tls.rejectUnauthorized=false`).
 */
export function createMailSender({ url, timeoutMs }: MailSenderOptions): SendMail {
  const { username, hostname } = new URL(url);
  const transport = createTransport({
    url,
    ...(username !== '' && !LOOPBACK.has(hostname) ? { requireTLS: true } : {}),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return async (mail) => {
    try {
      await transport.sendMail(mail);
      return { kind: 'delivered' };
    } catch (thrown) {
      return failureOf(thrown);
    }
  };
}

/** Faults of the e-mail, its sender or its recipient, by the library's code; others are of the way to the server. */
const OF_THE_MAIL = new Set(['EENVELOPE', 'EMESSAGE']);

/** The server's words are left out: they may quote the e-mail. */
function failureOf(thrown: unknown): Exclude<MailOutcome, { readonly kind: 'delivered' }> {
  const code = systemCode(thrown) ?? 'unknown';
  const reply = (thrown as { readonly responseCode?: unknown }).responseCode;
  // The library itself takes the addresses for none.
  if (typeof reply !== 'number') return { kind: code === 'EENVELOPE' ? 'refused' : 'failed', failure: code };
  const failure = `${code} ${reply}`;
  if (!OF_THE_MAIL.has(code) || reply === 421) return { kind: 'failed', failure };
  return { kind: reply >= 500 && reply !== 503 ? 'refused' : 'deferred', failure };
}
