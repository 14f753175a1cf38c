import type { G711Codec } from './g711.ts';

/** What one leg says, and who says it. */
export interface LegSource {
  readonly codec: G711Codec;
  /** G.711 codes, 8,000 a second, sent as they are. */
  readonly codes: Uint8Array;
  /** `a=label`, and the stream's label in the metadata. */
  readonly label: string;
  readonly party?: Party;
}

/** A participant of a recorded call, as recording metadata names one. */
export interface Party {
  readonly name: string;
  /** Address of record, a SIP URI. */
  readonly aor: string;
  /** Part in the call, such as `agent`; sent in an extension element of our own. */
  readonly role?: string;
}
