import type { RtpPacket } from './packet.ts';

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

/** RFC 3389 §4 and, in old equipment, RFC 3551's reserved 19: sent by some without being offered. */
const STATIC_COMFORT_NOISE = [13, 19];

/**
 * The negotiated payload types as a table of 128 entries. A codec wins where a type is named twice. The static
 * types of comfort noise are known without having been named.
 */
export function payloadKinds(negotiated: NegotiatedPayloads): readonly PayloadKind[] {
  return Array.from({ length: 128 }, (_, payloadType): PayloadKind => {
    const law = negotiated.codecs.get(payloadType);
    if (law !== undefined) return law;
    if (negotiated.telephoneEventPayloadTypes.has(payloadType)) return 'telephone-event';
    const isNoise =
      negotiated.comfortNoisePayloadTypes.has(payloadType) || STATIC_COMFORT_NOISE.includes(payloadType);
    return isNoise ? 'comfort-noise' : undefined;
  });
}

/** What the payload types of one leg's packets mean, through all its offers. */
export class PayloadTable {
  #kinds: readonly PayloadKind[];

  constructor(negotiated: NegotiatedPayloads) {
    this.#kinds = payloadKinds(negotiated);
  }

  /** Some gateways send the noise level of RFC 3389 under the codec's payload type: one byte, no audio. */
  kindOf(packet: RtpPacket): PayloadKind {
    const kind = this.#kinds[packet.payloadType];
    const isLevel = packet.payloadEnd - packet.payloadBegin === 1 && (kind === 'PCMU' || kind === 'PCMA');
    return isLevel ? 'comfort-noise' : kind;
  }

  /**
   * Takes the payload types of a new offer. Those of the one before keep their meaning unless it gives them another
   * (which RFC 3264 §8.3.2 forbids): packets are on their way that do not know it yet.
   */
  renegotiate(negotiated: NegotiatedPayloads): void {
    const before = this.#kinds;
    this.#kinds = payloadKinds(negotiated).map((kind, payloadType) => kind ?? before[payloadType]);
  }
}
