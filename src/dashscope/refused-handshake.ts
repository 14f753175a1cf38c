import type { IncomingMessage } from 'node:http';

import { z } from 'zod';

import { DashScopeHandshakeRefused, type RefusalBody } from './errors.ts';

const BODY_MAX_BYTES = 16_384;
const BODY_TIMEOUT_MS = 2_000;

const refusalBody = z
  .object({
    code: z.string(),
    message: z.string().catch(''),
    request_id: z.string().optional().catch(undefined),
  })
  .transform(({ code, message, request_id: requestId }): RefusalBody => ({ code, message, requestId }));

/** Reads what the service answers instead of 101: `{"code":…,"message":…,"request_id":…}`, or anything. */
export async function readRefusal(response: IncomingMessage): Promise<DashScopeHandshakeRefused> {
  const body = await readBody(response);
  return new DashScopeHandshakeRefused(response.statusCode ?? 0, parseBody(body));
}

/** As much of the body as comes within the bounds. */
async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const timer = setTimeout(() => response.destroy(), BODY_TIMEOUT_MS);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > BODY_MAX_BYTES) break;
    }
  } catch {
    // Cut off: the status says enough.
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks).toString('utf8', 0, BODY_MAX_BYTES);
}

function parseBody(body: string): RefusalBody | undefined {
  try {
    return refusalBody.safeParse(JSON.parse(body)).data;
  } catch {
    return undefined;
  }
}
