import type { RecognitionTerms } from '../asr/session.ts';
import type { RecordingPolicy } from '../recording/leg-recorder.ts';
import type { InviteRequest } from '../sip/invite-handler.ts';
import type { RoleRule } from '../sip/role-rules.ts';
import type { MediaSide } from '../sip/sdp-answer.ts';
import type { VoicemailTerms } from '../voicemail/terms.ts';
import type { DtmfDigits } from './leg-keys.ts';

/** What holds for a call from its INVITE to its end, whatever is changed meanwhile. */
export interface CallPolicy {
  /** Name of the routing rule that took the call; undefined: the environment alone decided. */
  readonly rule: string | undefined;
  readonly tenant: string;
  /** Names of the webhook endpoints that are told of the call, none or some; undefined: all of the tenant. */
  readonly webhooks: readonly string[] | undefined;
  readonly recognition: RecognitionTerms;
  /** How the agent is told from the customer. */
  readonly roleRules: readonly RoleRule[];
  /** Undefined: as RECORDING says. */
  readonly recording: RecordingPolicy | undefined;
  /** Whether sentences have their words with times. */
  readonly keepsWords: boolean;
  readonly dtmfDigits: DtmfDigits;
  /** What the call's descriptions say of us. */
  readonly side: MediaSide;
  /** Undefined: somebody else talks with the caller, and we listen. */
  readonly voicemail: VoicemailTerms | undefined;
  /** Calls of the tenant at once, in this process; undefined: no limit but that of the process. */
  readonly tenantCallsMax: number | undefined;
}

/** `refuse`: with that final status. */
export type RouteDecision =
  | { readonly kind: 'take'; readonly policy: CallPolicy }
  | { readonly kind: 'refuse'; readonly status: RefusalStatus };

export type RefusalStatus = 403 | 404 | 480 | 486 | 603;

/** Decides on an INVITE that asks for a call; asked once a call, in the same turn. */
export type RouteCall = (request: InviteRequest, at: Date) => RouteDecision;

/** What stands in `calls.metadata.route`: by which rule, what another process needs to recognise the call, and who is told. */
export const routeRecord = ({ rule, recognition, keepsWords, webhooks }: CallPolicy): object | undefined => {
  const { phraseId, parameters } = recognition;
  const isPlain =
    rule === undefined &&
    phraseId === undefined &&
    parameters === undefined &&
    keepsWords &&
    webhooks === undefined;
  return isPlain ? undefined : { rule, phraseId, parameters, keepsWords, webhooks };
};
