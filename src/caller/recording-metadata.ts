import Builder from 'fast-xml-builder';

import type { LegSource } from './leg-source.ts';

export interface MetadataOptions {
  readonly legs: readonly Pick<LegSource, 'label' | 'party'>[];
  readonly startedAt: Date;
  /** A new identifier at each call: group, session, then participants and streams in the order of the legs. */
  readonly newId: () => string;
}

/** Extension for the part that a participant plays, which RFC 7865 has no element for. */
const PARTY_NAMESPACE = 'urn:callscribe:party';

const builder = new Builder({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  format: true,
  suppressEmptyNode: true,
});

/**
 * Recording metadata of a call at its start, as a complete snapshot (RFC 7865): one participant and one stream a
 * leg, every participant sends its own stream and receives the others.
 */
export function writeRecordingMetadata({ legs, startedAt, newId }: MetadataOptions): string {
  const at = startedAt.toISOString();
  const groupId = newId();
  const sessionId = newId();
  const parties = legs.map(({ label, party }) => ({ label, party, id: newId(), streamId: newId() }));
  return builder.build({
    '?xml': { '@version': '1.0', '@encoding': 'UTF-8' },
    recording: {
      '@xmlns': 'urn:ietf:params:xml:ns:recording:1',
      datamode: 'complete',
      group: { '@group_id': groupId, 'associate-time': at },
      session: { '@session_id': sessionId, 'group-ref': groupId, 'start-time': at },
      participant: parties.map(({ id, party, label }) => ({
        '@participant_id': id,
        nameID: {
          '@aor': party?.aor ?? `sip:party-${label}@callscribe.invalid`,
          ...(party === undefined ? {} : { name: { '@xml:lang': 'zh', '#text': party.name } }),
        },
        ...(party?.role === undefined
          ? {}
          : { extensiondata: { '@xmlns:cs': PARTY_NAMESPACE, 'cs:role': party.role } }),
      })),
      stream: parties.map(({ streamId, label }) => ({
        '@stream_id': streamId,
        '@session_id': sessionId,
        label,
      })),
      sessionrecordingassoc: { '@session_id': sessionId, 'associate-time': at },
      participantsessionassoc: parties.map(({ id }) => ({
        '@participant_id': id,
        '@session_id': sessionId,
        'associate-time': at,
      })),
      participantstreamassoc: parties.map(({ id, streamId }) => ({
        '@participant_id': id,
        send: streamId,
        recv: parties.filter((other) => other.id !== id).map((other) => other.streamId),
      })),
    },
  });
}
