import { CallscribeError } from '../errors.ts';
import {
  type CallIdentifier,
  identifiersOfHeaders,
  identifiersOfMetadata,
  readHeaderLines,
} from './identifiers.ts';
import { baseType, type BodyPart, splitBody } from './multipart.ts';
import { readMetadata, type RecordingMetadata } from './rs-metadata.ts';
import { readOffer, type SdpOffer } from './sdp.ts';
import { readSignalledParties, type SignalledParty } from './signalled-parties.ts';

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
  /** The beginning of metadata that could not be read, for whoever has to find out why. */
  readonly metadataText: string | undefined;
  /** Every id by which the call may be known, of headers and metadata. */
  readonly identifiers: readonly CallIdentifier[];
  /** Who speaks on which line by the words of the headers. */
  readonly signalled: readonly SignalledParty[];
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
  const read = readMetadataPart(parts);
  const headers = readHeaderLines(request.raw);
  return {
    offer: sdp === undefined ? undefined : readOffer(sdp.content),
    ...read,
    identifiers: [
      ...identifiersOfHeaders(headers),
      ...(read.metadata === undefined ? [] : identifiersOfMetadata(read.metadata)),
    ],
    signalled: readSignalledParties(headers),
  };
}

function bodyOf(raw: string): string {
  const match = /\r?\n\r?\n/.exec(raw);
  return match === null ? '' : raw.slice(match.index + match[0].length);
}

const FAULTY_TEXT_CHARACTERS_MAX = 16_384;

function readMetadataPart(
  parts: readonly BodyPart[],
): Pick<RequestContent, 'metadata' | 'metadataFault' | 'metadataText'> {
  const nothing = { metadata: undefined, metadataFault: undefined, metadataText: undefined };
  const part = parts.find(isMetadata);
  if (part === undefined) return nothing;
  try {
    return { ...nothing, metadata: readMetadata(part.content) };
  } catch (error) {
    if (!(error instanceof CallscribeError)) throw error;
    const metadataText = part.content.slice(0, FAULTY_TEXT_CHARACTERS_MAX);
    return { ...nothing, metadataFault: error, metadataText };
  }
}

/** By its media type, else by its disposition where some other XML type stands. */
function isMetadata({ contentType, contentDisposition }: BodyPart): boolean {
  return (
    METADATA_TYPES.has(contentType) ||
    (/\bxml$/.test(contentType) && /^\s*recording-session\b/i.test(contentDisposition ?? ''))
  );
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
