import type { CallPolicy, RouteCall } from '../src/call/policy.ts';
import type { Config } from '../src/config.ts';
import { DashScopeUsageError } from '../src/dashscope/errors.ts';
import { checkParameters, parametersOfWire } from '../src/dashscope/parameters.ts';
import { checkEntries, checkTargetModel } from '../src/dashscope/vocabulary-rules.ts';
import type { Logger } from '../src/log.ts';
import type { Metrics } from '../src/metrics.ts';
import { calledUsers, routeFactsOf } from '../src/routing/facts.ts';
import { mailboxOf, tenantOfMailbox } from '../src/routing/mailboxes.ts';
import { findRule } from '../src/routing/matching.ts';
import type { Routes, RouteSettings } from '../src/routing/route-rules.ts';
import type { LoadRoutesOptions } from '../src/routing/routes-file.ts';
import { RoutesWatch } from '../src/routing/routes-watch.ts';
import { readHeaderLines } from '../src/sip/identifiers.ts';
import type { InviteRequest } from '../src/sip/invite-handler.ts';
import { readRoleRules } from '../src/sip/role-rules-text.ts';
import type { MailboxRequest } from '../src/sip/subscribe-handler.ts';
import type { MailboxAddress } from '../src/voicemail/mailbox-news.ts';
import { loadPrompt, voicemailTerms } from './voicemail-terms.ts';

type RoutesConfig = Pick<Config, 'asr' | 'roleRules' | 'rtp' | 'routesFile'>;

const DEFAULT_TENANT = 'default';

/** The rules of ROUTES_FILE, beside which the environment holds; without the file the environment alone. */
export interface CallRoutes {
  readonly route: RouteCall;
  /**
   * The mailbox that a SUBSCRIBE names, by the rules as they stand. Undefined: there is none, or it is not for that
   * peer. Without a file there are no mailboxes.
   */
  readonly findMailbox: ((request: MailboxRequest) => MailboxAddress | undefined) | undefined;
  close(): void;
}

/** @throws {CallscribeError} ROUTES_INVALID */
export async function openCallRoutes(
  config: RoutesConfig,
  { metrics, logger }: { readonly metrics: Metrics; readonly logger: Logger },
): Promise<CallRoutes> {
  const byEnvironment: CallPolicy = {
    rule: undefined,
    tenant: DEFAULT_TENANT,
    webhooks: undefined,
    recognition: { model: config.asr.model, vocabularyId: config.asr.vocabularyId },
    roleRules: config.roleRules,
    recording: undefined,
    keepsWords: true,
    dtmfDigits: config.rtp.dtmfDigits,
    side: 'listens',
    voicemail: undefined,
    tenantCallsMax: undefined,
  };
  const { routesFile } = config;
  if (routesFile === undefined) {
    return {
      route: () => ({ kind: 'take', policy: byEnvironment }),
      findMailbox: undefined,
      close: () => undefined,
    };
  }
  const watch = await RoutesWatch.open({
    ...routesReader(config.asr.model),
    loadPrompt,
    file: routesFile,
    logger,
    onReading: (outcome) => {
      metrics.routesReadings.inc({ outcome });
    },
  });
  return {
    route: (request, at) => {
      const facts = factsOf(request, at);
      const rule = findRule(watch.routes, facts);
      metrics.routedCalls.inc({ rule: rule?.name ?? '' });
      if (rule === undefined) return { kind: 'take', policy: byEnvironment };
      const { settings, name } = rule;
      if (settings.mode === 'refuse') return { kind: 'refuse', status: settings.refuse.status };
      const policy = policyOf(name, settings, byEnvironment, watch.routes);
      if (settings.voicemail === undefined) return { kind: 'take', policy };
      const mailbox = mailboxOf(rule, facts);
      if (mailbox === undefined) return { kind: 'refuse', status: 404 };
      const voicemail = voicemailTerms(mailbox, settings.voicemail);
      return { kind: 'take', policy: { ...policy, recording: 'keep', side: 'speaks', voicemail } };
    },
    findMailbox: ({ requestUri, raw, peerAddress: source }) => {
      const [mailbox] = calledUsers({ requestUri, headers: readHeaderLines(raw) });
      if (mailbox === undefined) return undefined;
      const asked = { mailbox, source, tenantDefault: byEnvironment.tenant };
      const tenant = tenantOfMailbox(watch.routes, asked);
      return tenant === undefined ? undefined : { tenant, mailbox };
    },
    close: () => {
      watch.close();
    },
  };
}

/**
 * Hot words that the environment and the rules name at the start, with the model that they are for.
 *
 * @throws {CallscribeError} ROUTES_INVALID
 */
export async function namedVocabularies(
  { asr, routesFile }: RoutesConfig,
  logger: Logger,
): Promise<Readonly<Record<string, string>>> {
  const named = new Map(asr.vocabularyId === undefined ? [] : [[asr.vocabularyId, asr.model]]);
  if (routesFile !== undefined) {
    using watch = await RoutesWatch.open({ ...routesReader(asr.model), file: routesFile, logger });
    for (const { settings } of watch.routes.rules) {
      const { vocabularyId, model = asr.model } = settings.asr;
      if (vocabularyId !== undefined) named.set(vocabularyId, model);
    }
  }
  return Object.fromEntries(named);
}

/** How a file of rules is read by whoever acts upon it. @param model where a rule names none */
export const routesReader = (model: string): LoadRoutesOptions => ({
  model,
  readRoles: readRoleRules,
  checkVocabulary: ({ model: targetModel, words }) =>
    [...checkTargetModel(targetModel), ...checkEntries(words)].map(({ parameter, found, allowed }) => {
      const wordNo = /^vocabulary\[(\d+)\]/.exec(parameter)?.[1];
      return {
        wordNo: wordNo === undefined ? undefined : Number(wordNo),
        what: `found ${found}, allowed is ${allowed}`,
      };
    }),
  checkRecognition: (asr) => {
    try {
      checkParameters(asr.model ?? model, {
        ...parametersOfWire(asr.parameters),
        format: 'pcm',
        sampleRate: SAMPLE_RATE_HZ,
        vocabularyId: asr.vocabularyId,
        phraseId: asr.phraseId,
      });
      return [];
    } catch (error) {
      if (!(error instanceof DashScopeUsageError)) throw error;
      return error.faults.map(
        ({ parameter, found, allowed }) => `${parameter}: found ${found}, allowed is ${allowed}`,
      );
    }
  },
});

const SAMPLE_RATE_HZ = 8_000;

function factsOf(request: InviteRequest, at: Date): ReturnType<typeof routeFactsOf> {
  const { text, content, recording, peerAddress } = request;
  const requestUri = /^INVITE (\S+) /.exec(text.raw)?.[1] ?? '';
  const headers = readHeaderLines(text.raw);
  return routeFactsOf({ requestUri, headers, metadata: content.metadata, recording, peerAddress }, at);
}

function policyOf(
  name: string,
  settings: RouteSettings,
  environment: CallPolicy,
  routes: Routes,
): CallPolicy {
  const { asr, keep, roles } = settings;
  const tenant = settings.tenant ?? environment.tenant;
  const { recognition } = environment;
  // Hot words are made for one model.
  const ownWords = asr.vocabularyId ?? asr.phraseId;
  const sameModel = asr.model === undefined || asr.model === recognition.model;
  const hasParameters = Object.keys(asr.parameters).length > 0;
  return {
    rule: name,
    tenant,
    webhooks: settings.webhooks,
    recognition: {
      model: asr.model ?? recognition.model,
      vocabularyId: ownWords === undefined && sameModel ? recognition.vocabularyId : asr.vocabularyId,
      ...(asr.phraseId === undefined ? {} : { phraseId: asr.phraseId }),
      ...(hasParameters ? { parameters: asr.parameters } : {}),
    },
    roleRules: roles ?? environment.roleRules,
    recording: keep.recording,
    keepsWords: keep.words,
    dtmfDigits: keep.digits ?? environment.dtmfDigits,
    side: environment.side,
    voicemail: undefined,
    tenantCallsMax: routes.limits.get(tenant)?.callsMax,
  };
}
