import type { SipAddress } from '../../src/sipstack/flow.ts';

export interface StoredSpeech {
  readonly state: string;
  readonly sentences: readonly {
    readonly leg: number;
    readonly text: string;
    readonly beginMs: number;
    readonly endMs: number;
  }[];
}

export interface Snapshot {
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
  /** Of `process.getActiveResourcesInfo()`. */
  readonly handles: Readonly<Record<string, number>>;
  /** Lines of log since the start, by level and message. */
  readonly errors: Readonly<Record<string, number>>;
  /** The first lines of errors, whole. */
  readonly lines: readonly string[];
  /** Exceptions and rejections that nobody caught. */
  readonly failures: readonly string[];
}

export type ToService =
  | { readonly kind: 'snapshot'; readonly id: number; readonly collect: boolean }
  | { readonly kind: 'speech'; readonly id: number; readonly sipCallIds: readonly string[] }
  | { readonly kind: 'close'; readonly id: number };

export type FromService =
  | { readonly kind: 'ready'; readonly sipAddresses: readonly SipAddress[]; readonly httpUrl: string }
  | { readonly kind: 'snapshot'; readonly id: number; readonly snapshot: Snapshot }
  | {
      readonly kind: 'speech';
      readonly id: number;
      readonly speech: Readonly<Record<string, StoredSpeech | undefined>>;
    }
  | { readonly kind: 'closed'; readonly id: number };
