import { z } from 'zod';

import type { RecognitionTerms } from '../asr/session.ts';
import type { CallRecord, LegRecord } from '../call/record.ts';

const route = z.object({
  phraseId: z.string().optional(),
  parameters: z.record(z.string(), z.unknown()).optional(),
  keepsWords: z.boolean().optional(),
});

/** What a leg's recogniser is asked for, and whether words are kept, as the process before decided. */
export function routeTermsOf(
  call: Pick<CallRecord, 'metadata'>,
  leg: Pick<LegRecord, 'model' | 'vocabularyId'>,
): { readonly terms: RecognitionTerms; readonly keepsWords: boolean } {
  const read = route.safeParse(call.metadata['route'] ?? {});
  const { phraseId, parameters, keepsWords = true } = read.success ? read.data : {};
  const { model, vocabularyId } = leg;
  return { terms: { model, vocabularyId, phraseId, parameters }, keepsWords };
}
