import type { AddressBlocks } from '../address-blocks.ts';
import type { Prompt } from '../rtp/prompt.ts';
import type { RoleRule } from '../sip/role-rules.ts';
import type { Pattern } from './pattern.ts';
import type { TimeWindow } from './time-window.ts';
import type { FileVocabulary } from './vocabularies.ts';

/** One condition of a rule. Of several patterns one must match; of several texts of the INVITE, too. */
export type Condition =
  | {
      readonly kind: 'called' | 'calling' | 'request-uri' | 'participant';
      readonly patterns: readonly Pattern[];
    }
  | { readonly kind: 'source'; readonly texts: readonly string[]; readonly blocks: AddressBlocks }
  | { readonly kind: 'header' | 'metadata'; readonly name: string; readonly patterns: readonly Pattern[] }
  | { readonly kind: 'call'; readonly is: 'siprec' | 'plain' }
  | { readonly kind: 'time'; readonly windows: readonly TimeWindow[] };

/** What a rule sets; undefined: as the environment says. */
export interface RouteSettings {
  readonly mode: 'live' | 'voicemail' | 'refuse';
  readonly tenant: string | undefined;
  /** Names of the webhook endpoints that are told, none or some; undefined: all of the tenant. */
  readonly webhooks: readonly string[] | undefined;
  readonly asr: {
    readonly model: string | undefined;
    readonly vocabularyId: string | undefined;
    /** Name of the list of the file whose id that is. */
    readonly vocabulary: string | undefined;
    /** Of the v1 models, in place of `vocabularyId`. */
    readonly phraseId: string | undefined;
    /** Parameters of the task beside those, by their names in the vendor's protocol. */
    readonly parameters: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  };
  /** How the agent is told from the customer; undefined: by the rules of the environment. */
  readonly roles: readonly RoleRule[] | undefined;
  readonly keep: {
    readonly recording: 'keep' | 'spool' | 'memory' | undefined;
    readonly words: boolean;
    readonly digits: 'store' | 'hide' | undefined;
  };
  /** Of mode `voicemail`. */
  readonly voicemail: RouteVoicemail | undefined;
  /** Final status of a refusal. */
  readonly refuse: { readonly status: 403 | 404 | 480 | 486 | 603 };
}

/** How messages are taken; undefined: the built-in tone. */
export interface RouteVoicemail {
  /** Undefined: named by the user that was called. */
  readonly mailbox: string | undefined;
  readonly greeting: Prompt | undefined;
  readonly beep: Prompt | undefined;
  readonly maxMs: number;
  readonly silenceMs: number;
  readonly minSpeechMs: number;
  /** Undefined: no key ends a message. */
  readonly finishKey: string | undefined;
  readonly mailTo: readonly string[];
}

export interface RouteRule {
  readonly name: string;
  /** In the file, from 1. */
  readonly line: number;
  /** All must hold; none: every call. */
  readonly conditions: readonly Condition[];
  readonly settings: RouteSettings;
}

export interface TenantLimits {
  /** Calls of the tenant at once, in one intake; beyond it new ones get 503. */
  readonly callsMax: number | undefined;
}

/** Lists of hot words that the file holds. */
export interface RoutesHotWords {
  /** Of the ids of its lists; there where it has lists. */
  readonly prefix: string | undefined;
  /** By name. */
  readonly lists: ReadonlyMap<string, FileVocabulary>;
  /** Names of those that are not at the service as the file has them, as far as its lock tells. */
  readonly stale: readonly string[];
}

/** Rules in the order in which they are asked; the first that matches decides. */
export interface Routes {
  readonly rules: readonly RouteRule[];
  readonly limits: ReadonlyMap<string, TenantLimits>;
  readonly hotWords: RoutesHotWords;
}
