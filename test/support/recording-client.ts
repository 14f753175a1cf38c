import type { CallId } from '../../src/ids.ts';
import { loadCall } from '../../src/store/load-call.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import type { Pool } from '../../src/store/pool.ts';
import type { StoredCall, StoredEvent, StoredLeg } from '../../src/store/stored.ts';
import { eventsOf } from './events-of.ts';
import { type Signalling, startSignalling } from './signalling.ts';
import { headerOf, tagOf, unique } from './sip-peer.ts';

/** How one make of recording client writes its requests. */
export interface ClientStyle {
  /** Value of Contact, by the peer's `host:port`. */
  readonly contact: (hostport: string) => string;
  /** Name and address of the From, without a tag. */
  readonly from?: string;
  /** Of every INVITE that makes a dialog. */
  readonly headers?: readonly string[];
}

export interface Body {
  /** The Content-Type line's value. */
  readonly type: string;
  readonly text: string;
}

export interface ClientRequest {
  readonly body?: Body | undefined;
  readonly headers?: readonly string[];
  readonly from?: string;
  /** What the ACK to a 2xx carries. */
  readonly ack?: Body;
}

export interface ClientDialog {
  readonly callId: string;
  readonly from: string;
  readonly toTag: string;
  readonly ok: string;
  cseq: number;
}

/** What a call left behind, as a reader of the rows sees it. */
export interface StoredFacts {
  readonly call: StoredCall;
  readonly legs: readonly StoredLeg[];
  readonly events: readonly StoredEvent[];
  /** `kind value`, sorted. */
  readonly identifiers: readonly string[];
  /** `label role name uri`, in the order of the lines; `-` where there is none. */
  readonly parties: readonly string[];
  /** `kind` of every event, with the number of the leg that it belongs to, such as `hold 1`. */
  readonly happened: readonly string[];
}

/** A recording client made of a socket and a way of writing, and the service that it talks to. */
export interface RecordingClient extends AsyncDisposable {
  readonly line: Signalling;
  /** INVITE, 200, ACK. */
  open(request: ClientRequest): Promise<ClientDialog>;
  /** An INVITE and whatever final response comes. */
  attempt(request: ClientRequest): Promise<string>;
  /** A request in the dialog and its final response; an INVITE is acknowledged. */
  ask(dialog: ClientDialog, method: string, request?: ClientRequest): Promise<string>;
  /** Ends the dialog. @returns the response to the BYE */
  bye(dialog: ClientDialog, headers?: readonly string[]): Promise<string>;
  /**
   * What is stored once the call that the dialog belongs to is over and these have happened. Events are jobs of
   * their own and may be written after the call's last one; what has not come after 5 s is missing.
   */
  stored(dialog: ClientDialog, happened?: readonly string[]): Promise<StoredFacts>;
}

export async function startRecordingClient(
  style: ClientStyle,
  env: Readonly<Record<string, string>> = {},
): Promise<RecordingClient> {
  const line = await startSignalling(env);
  const { peer, test } = line;
  const write = (
    method: string,
    dialog: Pick<ClientDialog, 'callId' | 'from' | 'cseq'> & {
      readonly toTag?: string;
      readonly branch?: string;
    },
    { body, headers = [] }: ClientRequest,
  ): void => {
    const text = Buffer.from(body?.text ?? '');
    const to = dialog.toTag === undefined ? '' : `;tag=${dialog.toTag}`;
    const head = [
      `${method} sip:recorder@example.org SIP/2.0`,
      `Via: SIP/2.0/UDP ${peer.hostport};branch=${dialog.branch ?? `z9hG4bK${unique()}`};rport`,
      'Max-Forwards: 70',
      `From: ${dialog.from}`,
      `To: <sip:recorder@example.org>${to}`,
      `Call-ID: ${dialog.callId}`,
      `CSeq: ${dialog.cseq} ${method}`,
      `Contact: ${style.contact(peer.hostport)}`,
      ...headers,
      ...(body === undefined ? [] : [`Content-Type: ${body.type}`]),
      `Content-Length: ${text.length}`,
    ];
    peer.send(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), text]));
  };
  const final = (callId: string, cseq: number, method: string): Promise<string> =>
    peer.next(
      new RegExp(`^SIP/2.0 [2-6]\\d\\d(?=[^]*Call-ID: ${callId}\\r)(?=[^]*CSeq: ${cseq} ${method}\\r)`),
    );
  const begin = async (
    request: ClientRequest,
  ): Promise<{ readonly dialog: Omit<ClientDialog, 'ok' | 'toTag'>; readonly answer: string }> => {
    const from = request.from ?? style.from ?? '<sip:src@example.com>';
    const dialog = { callId: `src-${unique()}`, from: `${from};tag=${unique()}`, cseq: 1 };
    const branch = `z9hG4bK${unique()}`;
    write(
      'INVITE',
      { ...dialog, branch },
      { ...request, headers: [...(style.headers ?? []), ...(request.headers ?? [])] },
    );
    if (asksForPrack(style.headers) || asksForPrack(request.headers)) {
      const progress = await peer.next(new RegExp(`^SIP/2.0 183[^]*Call-ID: ${dialog.callId}\\r`));
      dialog.cseq = 2;
      const rack = `RAck: ${headerOf(progress, 'RSeq') ?? ''} 1 INVITE`;
      write('PRACK', { ...dialog, toTag: tagOf(progress) }, { headers: [rack] });
      await final(dialog.callId, 2, 'PRACK');
    }
    const answer = await final(dialog.callId, 1, 'INVITE');
    const ok = answer.startsWith('SIP/2.0 2');
    write(
      'ACK',
      { ...dialog, cseq: 1, toTag: tagOf(answer), ...(ok ? {} : { branch }) },
      ok ? { body: request.ack } : {},
    );
    return { dialog, answer };
  };
  return {
    line,
    attempt: async (request) => (await begin(request)).answer,
    open: async (request) => {
      const { dialog, answer } = await begin(request);
      if (!answer.startsWith('SIP/2.0 200')) throw new Error(`the INVITE got ${answer.slice(0, 60)}`);
      return { ...dialog, toTag: tagOf(answer), ok: answer };
    },
    ask: async (dialog, method, request = {}) => {
      dialog.cseq += 1;
      const branch = `z9hG4bK${unique()}`;
      write(method, { ...dialog, branch }, request);
      const answer = await final(dialog.callId, dialog.cseq, method);
      const ok = answer.startsWith('SIP/2.0 2');
      if (method === 'INVITE') {
        write('ACK', { ...dialog, ...(ok ? {} : { branch }) }, ok ? { body: request.ack } : {});
      }
      return answer;
    },
    bye: async (dialog, headers = []) => {
      dialog.cseq += 1;
      write('BYE', dialog, { headers });
      return final(dialog.callId, dialog.cseq, 'BYE');
    },
    stored: async ({ callId }, happened = []) => {
      const { id } = await line.row<{ id: StoredCall['id'] }>(
        `select calls.id from calls join call_identifiers on call_id = calls.id
          where kind = 'sip-call-id' and value = $1 and state in ('complete', 'failed')`,
        [callId],
      );
      const deadlineMs = performance.now() + EVENTS_MAX_MS;
      for (;;) {
        const facts = await load(test.pool, id);
        const isWhole = happened.every((kind) => count(facts.happened, kind) >= count(happened, kind));
        if (isWhole || performance.now() > deadlineMs) return facts;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    },
    [Symbol.asyncDispose]: () => line[Symbol.asyncDispose](),
  };
}

const EVENTS_MAX_MS = 5_000;

const count = (list: readonly string[], wanted: string): number =>
  list.filter((each) => each === wanted).length;

async function load(pool: Pool, id: CallId): Promise<StoredFacts> {
  const [call, legs, events] = await Promise.all([
    loadCall(pool, id),
    loadLegs(pool, id),
    eventsOf(pool, id),
  ]);
  if (call === undefined) throw new Error('unreachable: the row was there');
  const legNoOf = new Map(legs.map((leg) => [leg.id, leg.legNo]));
  return {
    call,
    legs,
    events,
    identifiers: call.identifiers.map(({ kind, value }) => `${kind} ${value}`).toSorted(),
    parties: legs.map(({ label, role, name, uri }) =>
      [label, role, name, uri].map((text) => text ?? '-').join(' '),
    ),
    happened: events.map(({ kind, legId }) =>
      legId === null ? kind : `${kind} ${legNoOf.get(legId) ?? '?'}`,
    ),
  };
}

const asksForPrack = (headers: readonly string[] = []): boolean =>
  headers.some((line) => /^Require:.*100rel/i.test(line));

/** A multipart body: parts as `[header lines, content]`, and what stands behind the last one. */
export function multipartBody(
  boundary: string,
  parts: readonly (readonly [headers: string, content: string])[],
  { parameter = boundary, end = `--${boundary}--\r\n` }: { parameter?: string; end?: string } = {},
): Body {
  const sections = parts.map(([headers, content]) => `--${boundary}\r\n${headers}\r\n\r\n${content}\r\n`);
  return { type: `multipart/mixed;boundary=${parameter}`, text: `${sections.join('')}${end}` };
}

/** Lines as SIP and SDP want them. */
export const crlf = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n`;

/** A session description as plain body. */
export const sdpBody = (text: string): Body => ({ type: 'application/sdp', text });

/** The m-lines of a description, each with what matters: `open RTP/AVP 8 101 label=1 recvonly`. */
export function linesOf(message: string): readonly string[] {
  return message
    .split(/^(?=m=)/m)
    .slice(1)
    .map((section) => {
      const [, port = '', proto = '', formats = ''] = /^m=\S+ (\d+) (\S+) (.*?)\r?$/m.exec(section) ?? [];
      const label = /^a=label:(.*?)\r?$/m.exec(section)?.[1];
      const direction = /^a=(sendrecv|sendonly|recvonly|inactive)\r?$/m.exec(section)?.[1];
      return [
        port === '0' ? 'closed' : 'open',
        proto,
        formats,
        ...(label === undefined ? [] : [`label=${label}`]),
        ...(direction === undefined ? [] : [direction]),
      ].join(' ');
    });
}

/** Media ports of a description. */
export const portsOf = (message: string): readonly string[] =>
  [...message.matchAll(/^m=\S+ (\d+)/gm)].map(([, port = '']) => port);

/** What the 200 to a recording client's INVITE tells besides its media. */
export function recorderHeaders(ok: string): Readonly<Record<'contact' | 'require' | 'accept', unknown>> {
  return {
    contact: /;\+sip\.srs/.test(headerOf(ok, 'Contact') ?? ''),
    require: (headerOf(ok, 'Require') ?? '').split(/,\s*/).includes('siprec'),
    accept: (headerOf(ok, 'Accept') ?? '').split(/,\s*/).filter((type) => type.includes('rs-metadata')),
  };
}

/** As `recorderHeaders` should be. */
export const RECORDER = {
  contact: true,
  require: true,
  accept: ['application/rs-metadata+xml', 'application/rs-metadata', 'application/rs-metadata-request'],
};

/** Status and whether a response carries a description. */
export const kindOf = (response: string): string =>
  `${response.slice(8, 11)}${/^Content-Type: application\/sdp/im.test(response) ? ' with SDP' : ''}`;
