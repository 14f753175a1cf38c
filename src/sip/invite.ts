import { CallscribeError } from '../errors.ts';
import { baseType, type BodyPart, splitBody } from './multipart.ts';
import { readMetadata, type RecordingMetadata } from './rs-metadata.ts';
import { readOffer, type SdpOffer } from './sdp.ts';

export type CallDirection = 'inbound' | 'outbound' | 'unknown';

/** An id by which a CRM may know the call: `sip-call-id`, `ucid`, `siprec-session-id`, … */
export interface CallIdentifier {
  readonly kind: string;
  readonly value: string;
}

/** The parts of a request that the intake reads, whatever library delivered it. */
export interface RequestText {
  /** The whole message as received. */
  readonly raw: string;
  header(name: string): string | undefined;
}

/** The session description and the recording metadata that a request carries. */
export interface RequestContent {
  readonly offer: SdpOffer | undefined;
  readonly metadata: RecordingMetadata | undefined;
  /** Why metadata that was there could not be read; the call goes on without it. */
  readonly metadataFault: CallscribeError | undefined;
}

const METADATA_TYPES: ReadonlySet<string> = new Set([
  'application/rs-metadata+xml', // RFC 9806
  'application/rs-metadata', // RFC 7866
]);

/** Media types that we read; sent as Accept where something else came. */
export const ACCEPTED_TYPES = [
  'application/sdp',
  'multipart/mixed',
  'application/rs-metadata+xml',
  'application/rs-metadata',
  'application/rs-metadata-request',
].join(', ');

/** @throws {CallscribeError} SIP_MALFORMED when the session description cannot be read */
export function readContent(request: RequestText): RequestContent {
  const contentType = request.header('content-type') ?? '';
  const body = bodyOf(request.raw);
  const parts = splitBody(contentType, body);
  if (parts.length === 0 && baseType(contentType).startsWith('multipart/') && body.trim() !== '') {
    throw new CallscribeError('SIP_MALFORMED', 'multipart body: found no part behind the announced boundary');
  }
  const sdp = parts.find((part) => part.contentType === 'application/sdp');
  const { metadata, metadataFault } = readMetadataPart(parts);
  return { offer: sdp === undefined ? undefined : readOffer(sdp.content), metadata, metadataFault };
}

function bodyOf(raw: string): string {
  const match = /\r?\n\r?\n/.exec(raw);
  return match === null ? '' : raw.slice(match.index + match[0].length);
}

function readMetadataPart(parts: readonly BodyPart[]): Pick<RequestContent, 'metadata' | 'metadataFault'> {
  const part = parts.find(({ contentType }) => METADATA_TYPES.has(contentType));
  if (part === undefined) return { metadata: undefined, metadataFault: undefined };
  try {
    return { metadata: readMetadata(part.content), metadataFault: undefined };
  } catch (error) {
    if (error instanceof CallscribeError) return { metadata: undefined, metadataFault: error };
    throw error;
  }
}

/** Whether the sender says of itself that it is a recording client (RFC 7866 §6.1.1), in any dialect of the field. */
export function isRecordingSession(request: RequestText, content: RequestContent): boolean {
  return (
    content.metadata !== undefined ||
    content.metadataFault !== undefined ||
    /\+sip\.src|;\s*src\b/i.test(request.header('contact') ?? '') ||
    /\bsiprec\b/i.test(request.header('require') ?? '')
  );
}

/** Headers that carry an id by which a CRM may know the call. */
const IDENTIFIER_HEADERS: Readonly<Record<string, string>> = {
  'call-id': 'sip-call-id',
  'session-id': 'sip-session-id',
  'user-to-user': 'user-to-user',
  'cisco-guid': 'cisco-guid',
  'x-audc-call-id': 'audiocodes-call-id',
  'x-genesys-calluuid': 'genesys-uuid',
  'x-broadworks-correlation-info': 'broadworks-correlation',
  'x-call-id': 'x-call-id',
  'x-callid': 'x-call-id',
};

const IDENTIFIER_CHARACTERS_MAX = 512;

export function readIdentifiers(
  request: RequestText,
  metadata: RecordingMetadata | undefined,
): readonly CallIdentifier[] {
  const fromHeaders = Object.entries(IDENTIFIER_HEADERS).flatMap(([header, kind]) => {
    const value = request.header(header)?.trim() ?? '';
    return value === '' ? [] : [{ kind, value }];
  });
  const unique = new Map(
    [...fromHeaders, ...(metadata?.identifiers ?? [])]
      .filter(({ value }) => value.length <= IDENTIFIER_CHARACTERS_MAX)
      .map((identifier) => [`${identifier.kind}\n${identifier.value}`, identifier]),
  );
  return [...unique.values()];
}

/** A recording session tells nothing of the call's direction; a plain call came to us. */
export function directionOf(recording: boolean): CallDirection {
  return recording ? 'unknown' : 'inbound';
}
