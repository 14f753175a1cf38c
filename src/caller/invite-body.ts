/** A body and its Content-Type. */
export interface InviteBody {
  readonly contentType: string;
  readonly content: string;
}

const BOUNDARY = 'callscribe-recording-session';

/** The body of a recording client's INVITE (RFC 7866 §9.1, RFC 9806): session description, then metadata. */
export function writeSiprecBody(sdp: string, metadata: string): InviteBody {
  const parts = [
    ['Content-Type: application/sdp', 'Content-Disposition: session;handling=required', '', sdp.trimEnd()],
    [
      'Content-Type: application/rs-metadata+xml',
      'Content-Disposition: recording-session',
      '',
      metadata.trimEnd(),
    ],
  ];
  const lines = parts.flatMap((part) => [`--${BOUNDARY}`, ...part]);
  return {
    contentType: `multipart/mixed;boundary=${BOUNDARY}`,
    content: `${[...lines, `--${BOUNDARY}--`].join('\r\n')}\r\n`,
  };
}
