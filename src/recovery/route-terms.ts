import { z } from 'zod';

import type { RecognitionTerms } from '../asr/session.ts';
import type { CallRecord, LegRecord } from '../call/record.ts';
import { optional } from '../queue/jobs.ts';

/** As it stands in a record that was kept on disk, or in a row. */
const route = z.object({
  phraseId: optional(z.string()),
  parameters: optional(z.record(z.string(), z.unknown())),
  keepsWords: optional(z.boolean()),
  webhooks: optional(z.array(z.string())),
});

/** What a routing rule decided of a leg's sentences. */
export interface RouteTerms {
  readonly terms: RecognitionTerms;
  readonly keepsWords: boolean;
  /** Names of the webhook endpoints that are told; undefined: all of the tenant. */
  readonly webhooks: readonly string[] | undefined;
}

/** What a leg's recogniser is asked for, and what becomes of its sentences, as the process before decided. */
export function routeTermsOf(
  call: Pick<CallRecord, 'metadata'>,
  leg: Pick<LegRecord, 'model' | 'vocabularyId'>,
): RouteTerms {
  const read = route.safeParse(call.metadata['route'] ?? {});
  const { phraseId, parameters, keepsWords = true, webhooks } = read.success ? read.data : {};
  const { model, vocabularyId } = leg;
  return { terms: { model, vocabularyId, phraseId, parameters }, keepsWords, webhooks };
}
