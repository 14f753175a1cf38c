import { z } from 'zod';

/** 4 is a good start; Model Studio, "Custom hot words". */
const WEIGHT_DEFAULT = 4;
/** The service takes fewer; so many are read to say so. */
const WORDS_MAX = 10_000;
const TEXT_CHARACTERS_MAX = 512;

const text = z.string().trim().min(1).max(TEXT_CHARACTERS_MAX);

const hotWord = z
  .union([
    text.transform((word) => ({ text: word, weight: WEIGHT_DEFAULT, lang: undefined })),
    z.strictObject({
      text,
      weight: z.number().default(WEIGHT_DEFAULT).describe('From 1 to 5'),
      lang: z.string().optional().describe('Such as zh or en'),
    }),
  ])
  .describe('A text alone has weight 4');

/** Hot words of one list; what of them the service takes is looked at afterwards. */
export const hotWordsSchema = z
  .array(hotWord)
  .min(1)
  .max(WORDS_MAX)
  .superRefine((words, context) => {
    const first = new Map<string, number>();
    for (const [index, { text: word }] of words.entries()) {
      const before = first.get(word);
      if (before === undefined) first.set(word, index);
      else context.addIssue({ code: 'custom', path: [index], message: `the same as word ${before + 1}` });
    }
  });

/** One hot word, by the names of the vendor's interface. */
export interface HotWord {
  readonly text: string;
  /** 1 to 5. */
  readonly weight: number;
  readonly lang?: string | undefined;
}
