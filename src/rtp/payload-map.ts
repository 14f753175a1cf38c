/** The two laws of ITU-T G.711, by their RTP encoding names (RFC 3551 §4.5.14). */
export type G711Law = 'PCMU' | 'PCMA';

/** What a payload type means on a leg; undefined where the session description does not name it. */
export type PayloadKind = G711Law | 'telephone-event' | 'comfort-noise' | undefined;

export interface NegotiatedPayloads {
  /** Payload type → law; both may be negotiated on one leg, and the sender may change between them. */
  readonly codecs: ReadonlyMap<number, G711Law>;
  /** RFC 4733. */
  readonly telephoneEventPayloadTypes: ReadonlySet<number>;
  /** RFC 3389; 13, and in old equipment 19. */
  readonly comfortNoisePayloadTypes: ReadonlySet<number>;
}

/** The negotiated payload types as a table of 128 entries. A codec wins where a type is named twice. */
export function payloadKinds(negotiated: NegotiatedPayloads): readonly PayloadKind[] {
  return Array.from({ length: 128 }, (_, payloadType): PayloadKind => {
    const law = negotiated.codecs.get(payloadType);
    if (law !== undefined) return law;
    if (negotiated.telephoneEventPayloadTypes.has(payloadType)) return 'telephone-event';
    return negotiated.comfortNoisePayloadTypes.has(payloadType) ? 'comfort-noise' : undefined;
  });
}
