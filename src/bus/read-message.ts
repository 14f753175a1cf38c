import type { z } from 'zod';

/** @returns undefined for what is no message of this kind and version */
export function readMessage<T>(schema: z.ZodType<T>, message: string): T | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(message));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
