import type { IncomingMessage, ServerResponse } from 'node:http';

import { z } from 'zod';

import type { Clock } from '../clock.ts';
import type { Credentials } from './credentials.ts';
import type { FaultDesk } from './fault-desk.ts';
import { FAULT_MOMENTS, FAULT_USAGE } from './fault-text.ts';
import type { RefusalFault, RequestFault } from './faults.ts';
import type { Phrases } from './phrases.ts';
import { invalid, type Outcome, type Vocabularies } from './vocabularies.ts';

/** What the REST interfaces stand on. */
export interface HttpApiOptions {
  readonly clock: Clock;
  readonly credentials: Credentials;
  readonly vocabularies: Vocabularies;
  readonly phrases: Phrases;
  readonly desk: FaultDesk;
  /** For `GET /sandbox`. */
  readonly describe: () => Readonly<Record<string, unknown>>;
}

const BODY_MAX_BYTES = 1 << 20;
/** A request that is never answered ends then. */
const STALL_MAX_MS = 60_000;
const OUTPUTS = '/api/v1/fine-tunes/outputs/';

export const UNAUTHORIZED: RefusalFault = {
  status: 401,
  code: 'InvalidApiKey',
  message: 'Invalid API-key provided.',
};
export const NOT_FOUND: RefusalFault = {
  status: 404,
  code: 'NotFound',
  message: 'The sandbox has nothing at this path.',
};
const NOT_JSON: RefusalFault = {
  status: 400,
  code: 'InvalidParameter',
  message: 'The body is not JSON.',
};
const TOO_LONG: RefusalFault = {
  status: 413,
  code: 'InvalidParameter',
  message: `The body has more than ${BODY_MAX_BYTES} bytes.`,
};

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** No answer: the connection ends. */
interface Reply {
  readonly answer: Answer | undefined;
  readonly fault?: RequestFault | undefined;
}

type Body =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly refusal: RefusalFault }
  | { readonly kind: 'gone' };

/** The service's REST interfaces under `/api/v1`, and the sandbox's own under `/sandbox`. */
export class HttpApi {
  readonly #options: HttpApiOptions;
  readonly #stalled = new Set<NodeJS.Timeout>();

  constructor(options: HttpApiOptions) {
    this.#options = options;
  }

  /** Never throws, never rejects. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    request.on('error', () => response.destroy());
    response.on('error', () => response.destroy());
    const target = URL.canParse(request.url ?? '', 'http://sandbox')
      ? new URL(request.url ?? '', 'http://sandbox')
      : new URL('http://sandbox/unreadable');
    void this.#answer(request, target)
      .catch((): Reply => ({
        answer: refusal({ status: 500, code: 'InternalError', message: 'The sandbox failed.' }),
      }))
      .then((reply) => {
        this.#send(response, reply);
      });
  }

  close(): void {
    for (const timer of this.#stalled) clearTimeout(timer);
    this.#stalled.clear();
  }

  #send(response: ServerResponse, { answer, fault }: Reply): void {
    if (answer === undefined || fault?.kind === 'cut' || fault?.kind === 'lose-answer') {
      response.destroy();
      return;
    }
    const send = (): void => {
      // A client that left needs no answer.
      if (response.destroyed) return;
      const text = JSON.stringify(answer.body);
      response.writeHead(answer.status, {
        'content-type': 'application/json; charset=utf-8',
        'content-length': Buffer.byteLength(text),
        date: this.#options.clock.wallTime().toUTCString(),
      });
      response.end(text);
    };
    if (fault?.kind !== 'stall') {
      send();
      return;
    }
    const { forMs } = fault;
    const timer = setTimeout(
      () => {
        this.#stalled.delete(timer);
        if (forMs === 'ever') response.destroy();
        else send();
      },
      forMs === 'ever' ? STALL_MAX_MS : forMs,
    );
    this.#stalled.add(timer);
    response.once('close', () => {
      clearTimeout(timer);
      this.#stalled.delete(timer);
    });
  }

  async #answer(request: IncomingMessage, target: URL): Promise<Reply> {
    const body = await readBody(request);
    if (body.kind === 'gone') return { answer: undefined };
    if (body.kind === 'refused') return { answer: refusal(body.refusal) };
    const method = request.method ?? '';
    const path = target.pathname;
    if (/^\/sandbox(\/|$)/.test(path)) return { answer: this.#own(method, path, body.value) };
    const fault = this.#options.desk.forRequest(`${method} ${path} ${actionOf(body.value)}`);
    if (fault?.kind === 'refuse') return { answer: refusal(fault) };
    if (fault?.kind === 'cut') return { answer: undefined };
    return { answer: this.#serve(request, target, body.value), fault };
  }

  #serve(request: IncomingMessage, target: URL, body: unknown): Answer {
    const credential = this.#options.credentials.judge(credentialOf(request));
    if (credential === 'unknown') return refusal(UNAUTHORIZED);
    const outcome = this.#ofService(request.method ?? '', target, body, credential);
    if (outcome === undefined) return refusal(NOT_FOUND);
    if (outcome.kind === 'refused') return refusal(outcome);
    // A token is told without the envelope of the other interfaces.
    if (target.pathname === '/api/v1/tokens') return { status: 200, body: outcome.output };
    const usage = target.pathname.startsWith('/api/v1/services/') ? { usage: { count: 1 } } : {};
    return { status: 200, body: { output: outcome.output, ...usage, request_id: crypto.randomUUID() } };
  }

  #ofService(method: string, target: URL, body: unknown, credential: 'key' | 'token'): Outcome | undefined {
    const { vocabularies, phrases, credentials } = this.#options;
    const path = target.pathname;
    switch (`${method} ${path}`) {
      case 'POST /api/v1/services/audio/asr/customization':
        return vocabularies.handle(body);
      case 'POST /api/v1/fine-tunes':
        return phrases.compile(body);
      case 'GET /api/v1/fine-tunes/outputs':
        return phrases.list(target.searchParams);
      case 'POST /api/v1/tokens':
        // The page wants the permanent key; whether the service takes a token is not known.
        return credential === 'key'
          ? credentials.createToken(target.searchParams)
          : { kind: 'refused', ...UNAUTHORIZED };
    }
    if (!path.startsWith(OUTPUTS)) return undefined;
    const phraseId = decode(path.slice(OUTPUTS.length));
    if (method === 'GET') return phrases.query(phraseId);
    return method === 'DELETE' ? phrases.delete(phraseId) : undefined;
  }

  #own(method: string, path: string, body: unknown): Answer {
    const { desk, describe } = this.#options;
    switch (`${method} ${path}`) {
      case 'GET /sandbox':
        return { status: 200, body: describe() };
      case 'GET /sandbox/faults':
        return {
          status: 200,
          body: {
            faults: desk.list(),
            usage: Object.fromEntries(FAULT_USAGE),
            moments: FAULT_MOMENTS,
          },
        };
      case 'POST /sandbox/faults': {
        const order = faultOrder.safeParse(body);
        if (!order.success) return refusal(asRefusal(invalid(order.error)));
        const result = desk.order(order.data);
        if (result.kind === 'ordered') return { status: 201, body: { ...result.ordered } };
        return refusal({ status: 400, code: 'InvalidParameter', message: result.reason });
      }
      case 'DELETE /sandbox/faults':
        desk.cancelAll();
        return { status: 200, body: { faults: [] } };
    }
    const id = /^\/sandbox\/faults\/(\d{1,15})$/.exec(path)?.[1];
    if (method === 'DELETE' && id !== undefined && desk.cancel(Number(id))) {
      return { status: 200, body: { faults: desk.list() } };
    }
    return refusal(NOT_FOUND);
  }
}

const faultOrder = z.strictObject({
  fault: z.string(),
  times: z.number().int().min(1).optional(),
  seed: z.number().int().min(0).max(0xffff_ffff).optional(),
});

/** The scheme counts in any case: the Python SDK sends `bearer`. */
export function credentialOf(request: IncomingMessage): string | undefined {
  return /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
}

/** The body of every refusal, on an upgrade or a request. */
export function refusalBody({ code, message }: RefusalFault): Record<string, unknown> {
  return { code, message, request_id: crypto.randomUUID() };
}

function refusal(fault: RefusalFault): Answer {
  return { status: fault.status, body: refusalBody(fault) };
}

function asRefusal(outcome: Outcome): RefusalFault {
  return outcome.kind === 'refused' ? outcome : NOT_FOUND;
}

const withAction = z.object({ input: z.object({ action: z.string() }) });

function actionOf(body: unknown): string {
  return withAction.safeParse(body).data?.input.action ?? '';
}

async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      // Read on to the end, within reason, so that the client gets to see the answer.
      if (bytes <= BODY_MAX_BYTES) chunks.push(chunk);
      if (bytes > 16 * BODY_MAX_BYTES) return { kind: 'gone' };
    }
  } catch {
    return { kind: 'gone' };
  }
  if (bytes > BODY_MAX_BYTES) return { kind: 'refused', refusal: TOO_LONG };
  if (bytes === 0) return { kind: 'json', value: undefined };
  try {
    return { kind: 'json', value: JSON.parse(Buffer.concat(chunks).toString('utf8')) };
  } catch {
    return { kind: 'refused', refusal: NOT_JSON };
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
