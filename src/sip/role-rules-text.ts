import { z } from 'zod';

import type { RoleRule } from './role-rules.ts';

const RULES_MAX = 256;

const role = z.enum(['agent', 'customer']);
const name = z.string().trim().min(1).max(128);
const pattern = z
  .string()
  .min(1)
  .max(512)
  .transform((source, context) => {
    try {
      return new RegExp(source, 'iu');
    } catch {
      context.addIssue({ code: 'custom', message: 'no regular expression' });
      return z.NEVER;
    }
  });

const rule: z.ZodType<RoleRule> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('stated') }),
  z.strictObject({ kind: z.literal('extension'), name, matches: pattern.optional(), role }),
  z.strictObject({ kind: z.literal('header'), name, role }),
  z.strictObject({ kind: z.literal('address'), matches: pattern, role }),
  z.strictObject({ kind: z.literal('agent-numbers'), numbers: z.array(name).max(10_000) }),
  z.strictObject({ kind: z.literal('near-end') }),
  z.strictObject({ kind: z.literal('direction') }),
  z.strictObject({ kind: z.literal('label'), label: name, role }),
  z.strictObject({ kind: z.literal('label-rank'), rank: z.enum(['lowest', 'highest']), role }),
  z.strictObject({ kind: z.literal('position'), position: z.int().min(0).max(31), role }),
  z.strictObject({ kind: z.literal('other-party') }),
]);

const rules = z.array(rule).max(RULES_MAX);

/**
 * Reads rules written as a JSON list, such as `[{"kind":"stated"},{"kind":"address","matches":"^1\\d{3}$",
 * "role":"agent"}]`; patterns are regular expressions that ignore case.
 *
 * @returns undefined where it is no such list
 */
export function parseRoleRules(text: string): readonly RoleRule[] | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  return readRoleRules(json);
}

/** As {@link parseRoleRules}, of what was read from a file. @returns undefined where it is no such list */
export function readRoleRules(value: unknown): readonly RoleRule[] | undefined {
  const result = rules.safeParse(value);
  return result.success ? result.data : undefined;
}
