import type { HeaderLine } from '../sip/identifiers.ts';
import type { RecordingMetadata } from '../sip/rs-metadata.ts';

/** What the rules ask about: an INVITE as it came. */
export interface RouteFacts {
  readonly requestUri: string;
  /** Users of the Request-URI and of To; of a recording session also of those whom the metadata names as called. */
  readonly called: readonly string[];
  /** Users of the asserted identity and of From; likewise. */
  readonly calling: readonly string[];
  /** Address that the INVITE came from. */
  readonly source: string;
  /** Names in lower case. */
  readonly headers: readonly HeaderLine[];
  /** What the recording client tells of the call as a whole: names in lower case, with and without their prefix. */
  readonly extensions: readonly (readonly [name: string, text: string])[];
  /** Addresses, with and without scheme, users and names of those who take part. */
  readonly participants: readonly string[];
  readonly kind: 'siprec' | 'plain';
  readonly at: Date;
}

export interface RoutedInvite {
  readonly requestUri: string;
  readonly headers: readonly HeaderLine[];
  readonly metadata: RecordingMetadata | undefined;
  readonly recording: boolean;
  readonly peerAddress: string;
}

const CALLED_HEADERS = ['to', 't', 'p-called-party-id'];
const CALLING_HEADERS = ['p-asserted-identity', 'remote-party-id', 'from', 'f'];

/** Reads from an INVITE what rules may ask. Pure. */
export function routeFactsOf(invite: RoutedInvite, at: Date): RouteFacts {
  const { requestUri, headers, metadata, recording, peerAddress } = invite;
  const extensionList = metadata?.extensionList ?? [];
  const told = (wanted: RegExp): readonly string[] =>
    extensionList.flatMap(([key, text]) => (wanted.test(localName(key)) ? userOf(text) : []));
  return {
    requestUri,
    called: unique([...calledUsers(invite), ...told(/^(?:called(?:party)?(?:number)?|destnumber|dnis)$/u)]),
    calling: unique([
      ...usersOf(headers, CALLING_HEADERS),
      ...told(/^(?:calling(?:party)?(?:number)?|origcall|ani)$/u),
    ]),
    source: peerAddress,
    headers,
    extensions: extensionList.flatMap(([key, text]): [string, string][] =>
      key.includes(':')
        ? [
            [key, text],
            [localName(key), text],
          ]
        : [[key, text]],
    ),
    participants: unique(
      (metadata?.participants ?? []).flatMap(({ aor, name }) => [
        ...(aor === undefined ? [] : [aor, aor.replace(/^(?:sips?|tel):/iu, ''), ...userOf(aor)]),
        ...(name === undefined ? [] : [name]),
      ]),
    ),
    kind: recording ? 'siprec' : 'plain',
    at,
  };
}

/** Users that a request is for by its Request-URI and its headers. */
export function calledUsers({
  requestUri,
  headers,
}: Pick<RoutedInvite, 'requestUri' | 'headers'>): readonly string[] {
  return [...userOf(requestUri), ...usersOf(headers, CALLED_HEADERS)];
}

function usersOf(headers: readonly HeaderLine[], names: readonly string[]): readonly string[] {
  return headers.flatMap(({ name, value }) => (names.includes(name) ? userOf(addressOf(value)) : []));
}

const localName = (key: string): string => key.slice(key.indexOf(':') + 1);
const unique = (texts: readonly string[]): readonly string[] => [...new Set(texts)];

/** `"Anna" <sip:1001@x;p>;tag=1` → `sip:1001@x;p` */
const addressOf = (value: string): string => /<([^>]*)>/u.exec(value)?.[1] ?? value;

/** `sip:1001@example.com;user=phone` → `1001`; nothing where there is no user. */
function userOf(uri: string): readonly string[] {
  const [, scheme = '', rest = ''] = /^\s*(sips?|tel):(.*)$/isu.exec(uri) ?? [];
  const bare = scheme === '' ? uri.trim() : rest;
  const user = bare.split(/[;?]/u, 1)[0]?.split('@') ?? [];
  if (scheme.toLowerCase().startsWith('sip') && user.length < 2) return [];
  const [name = ''] = user;
  return name === '' ? [] : [decoded(name)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
