import { setTimeout as sleep } from 'node:timers/promises';

import { z } from 'zod';

import { systemCode, toError } from '../errors.ts';
import type { ApiKey } from './connection.ts';
import { DashScopeAborted, DashScopeError, DashScopeTimeout, type RefusalBody } from './errors.ts';
import { DashScopeRequestRefused } from './rest-errors.ts';

/** Model Studio's address for accounts of the China (Beijing) region, where the Paraformer models are. */
export const MAINLAND_HTTP_URL = 'https://dashscope.aliyuncs.com/api/v1';

export interface RestClientOptions {
  /** Default: {@link MAINLAND_HTTP_URL}. */
  readonly baseUrl?: string | undefined;
  /** A key or temporary token; a function is asked before each attempt. */
  readonly apiKey: ApiKey;
  /** `X-DashScope-WorkSpace`; undefined for the account's default workspace. */
  readonly workspace?: string | undefined;
  /** For one attempt, from the key to the end of the answer. Default: 10 s. */
  readonly timeoutMs?: number | undefined;
  /** Longest answer that is taken; beyond it `ASR_PROTOCOL`. Default: 1 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Of one request, the first included. Default: 3. */
  readonly maxAttempts?: number | undefined;
  /** Upper bound of the first pause between attempts; doubles each time up to 8 s, jittered. Default: 500 ms. */
  readonly retryDelayMs?: number | undefined;
  /** For the jitter; in [0, 1). Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

export interface CallOptions {
  /** Ends the call with `ASR_ABORTED`, whatever it waits for. */
  readonly signal?: AbortSignal | undefined;
}

export interface RestRequest<T> extends CallOptions {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below the base address, parts encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number>> | undefined;
  readonly body?: unknown;
  /** What an answer must look like; anything else is `ASR_PROTOCOL`. */
  readonly answer: z.ZodType<T>;
  /** `once`: only repeated where the service says that it did nothing (429). */
  readonly repeat: 'safe' | 'once';
  /** Vendor's codes that a repetition does not help with here. */
  readonly finalCodes?: readonly string[] | undefined;
}

export interface RestAnswer<T> {
  readonly value: T;
  /** What the vendor's support asks for. */
  readonly requestId: string | undefined;
  /** The service's own clock when it answered, in ms since 1970, to the second; undefined where it did not say. */
  readonly servedAtMs: number | undefined;
  /** Attempts that it took. */
  readonly attempts: number;
}

const TIMEOUT_MS = 10_000;
const MAX_BODY_BYTES = 1 << 20;
const MAX_ATTEMPTS = 3;
const RETRY_DELAY_MS = 500;
const RETRY_DELAY_MAX_MS = 8_000;

const refusalBody = z
  .object({
    code: z.string(),
    message: z.string().catch(''),
    request_id: z.string().optional().catch(undefined),
  })
  .transform(({ code, message, request_id: requestId }): RefusalBody => ({ code, message, requestId }));
const withRequestId = z.object({ request_id: z.string() });

/** JSON over HTTP with the service: bounded in time, size and attempts. Keeps no state; needs no close. */
export class RestClient {
  readonly #options: RestClientOptions;
  readonly #baseUrl: string;

  /** @throws {DashScopeError} `ASR_USAGE` where the address is none */
  constructor(options: RestClientOptions) {
    this.#options = options;
    this.#baseUrl = (options.baseUrl ?? MAINLAND_HTTP_URL).replace(/\/+$/, '');
    if (!/^https?:\/\//.test(this.#baseUrl) || !URL.canParse(this.#baseUrl)) {
      throw new DashScopeError('usage', 'ASR_USAGE', 'baseUrl is not an http or https address');
    }
  }

  /**
   * @throws {DashScopeRequestRefused} the service said no
   * @throws {DashScopeError} `ASR_UNREACHABLE`, `ASR_TIMEOUT`, `ASR_PROTOCOL` or `ASR_ABORTED`
   */
  async request<T>(request: RestRequest<T>): Promise<RestAnswer<T>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return { ...(await this.#attempt(request)), attempts: attempt };
      } catch (thrown) {
        const last = attempt >= (this.#options.maxAttempts ?? MAX_ATTEMPTS);
        if (last || !mayRepeat(request, thrown)) throw thrown;
        await this.pause(attempt, request.signal);
      }
    }
  }

  /**
   * What lies between attempts. "Full jitter": anything up to a bound that doubles, so that clients that failed
   * together do not come back together.
   *
   * @param attempt the one that failed, from 1
   * @throws {DashScopeAborted}
   */
  async pause(attempt: number, signal?: AbortSignal): Promise<void> {
    const { random = Math.random, retryDelayMs = RETRY_DELAY_MS } = this.#options;
    const boundMs = Math.min(RETRY_DELAY_MAX_MS, retryDelayMs * 2 ** (attempt - 1));
    try {
      await sleep(random() * boundMs, undefined, signal === undefined ? {} : { signal });
    } catch (thrown) {
      throw new DashScopeAborted('the request was aborted', thrown);
    }
  }

  async #attempt<T>(request: RestRequest<T>): Promise<Omit<RestAnswer<T>, 'attempts'>> {
    const { signal } = request;
    if (signal?.aborted === true) throw new DashScopeAborted('the request was aborted', signal.reason);
    const ended = new AbortController();
    const onAbort = (): void => {
      ended.abort(new DashScopeAborted('the request was aborted', signal?.reason));
    };
    const timeoutMs = this.#options.timeoutMs ?? TIMEOUT_MS;
    const timer = setTimeout(() => {
      ended.abort(new DashScopeTimeout(`the service did not answer the request within ${timeoutMs} ms`));
    }, timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await this.#exchange(request, ended.signal);
    } catch (thrown) {
      if (ended.signal.aborted) throw toError(ended.signal.reason);
      throw thrown instanceof DashScopeError ? thrown : this.#unreachable(thrown);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #exchange<T>(request: RestRequest<T>, signal: AbortSignal): Promise<Omit<RestAnswer<T>, 'attempts'>> {
    const { method, body, answer } = request;
    const headers = await this.#headers(body !== undefined, signal);
    const response = await fetch(this.#address(request), {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      // A key goes to the address that was asked for, and nowhere else.
      redirect: 'manual',
      signal,
    });
    const json = parseJson(await this.#readBody(response));
    if (!response.ok) {
      throw new DashScopeRequestRefused(
        response.status,
        refusalBody.safeParse(json).data,
        request.finalCodes,
      );
    }
    const parsed = answer.safeParse(json);
    const requestId = withRequestId.safeParse(json).data?.request_id;
    if (!parsed.success) throw malformed('an answer in a form that is not known', requestId);
    const servedAtMs = Date.parse(response.headers.get('date') ?? '');
    return {
      value: parsed.data,
      requestId,
      servedAtMs: Number.isNaN(servedAtMs) ? undefined : servedAtMs,
    };
  }

  #address({ path, query = {} }: RestRequest<unknown>): URL {
    const address = new URL(`${this.#baseUrl}${path}`);
    for (const [name, value] of Object.entries(query)) address.searchParams.set(name, String(value));
    return address;
  }

  async #headers(hasBody: boolean, signal: AbortSignal): Promise<Record<string, string>> {
    const { apiKey, workspace } = this.#options;
    const key = typeof apiKey === 'function' ? await unlessEnded(apiKey, signal) : apiKey;
    return {
      Authorization: `Bearer ${key}`,
      ...(hasBody ? { 'Content-Type': 'application/json' } : {}),
      ...(workspace === undefined ? {} : { 'X-DashScope-WorkSpace': workspace }),
    };
  }

  async #readBody(response: Response): Promise<string> {
    const maxBytes = this.#options.maxBodyBytes ?? MAX_BODY_BYTES;
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    // Leaving the loop early cancels the rest.
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw malformed(`an answer of more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  #unreachable(thrown: unknown): DashScopeError {
    const { cause } = toError(thrown);
    const code = systemCode(cause) ?? systemCode(thrown);
    const { host } = new URL(this.#baseUrl);
    return new DashScopeError(
      'network',
      'ASR_UNREACHABLE',
      `the service at ${host} cannot be reached${code === undefined ? '' : ` (${code})`}`,
      { cause: thrown, retryable: true },
    );
  }
}

/** Whether the service may have done what was asked although nobody heard so. */
export function mayHaveBeenDone(thrown: unknown): boolean {
  if (thrown instanceof DashScopeRequestRefused) return thrown.httpStatus >= 500;
  return thrown instanceof DashScopeError && ['network', 'timeout', 'protocol'].includes(thrown.kind);
}

function mayRepeat({ repeat }: RestRequest<unknown>, thrown: unknown): boolean {
  if (!(thrown instanceof DashScopeError) || !thrown.retryable) return false;
  return repeat === 'safe' || !mayHaveBeenDone(thrown);
}

/** A provider of keys may hang; the attempt does not. */
async function unlessEnded(provide: () => string | Promise<string>, signal: AbortSignal): Promise<string> {
  let onAbort: (() => void) | undefined;
  const ended = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      reject(toError(signal.reason));
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([ended, provide()]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}

function malformed(what: string, requestId?: string): DashScopeError {
  return new DashScopeError('protocol', 'ASR_PROTOCOL', `the service gave ${what}`, { requestId });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
