import { lookup } from 'node:dns/promises';

import {
  Grammar,
  IncomingRequestMessage,
  LoggerFactory,
  Parser,
  type URI,
  UserAgentCore,
} from 'sip.js/lib/core/index.js';

import { CallscribeError } from '../errors.ts';
import { type Logger, silentLogger } from '../log.ts';
import { openSipEndpoint } from '../sipstack/endpoint.ts';
import { readSipUri, readVia, splitList, uriHost } from '../sipstack/fields.ts';
import type { SipEndpoint, SipFlow, SipProtocol, SocketAddress } from '../sipstack/flow.ts';
import { localAddressTowards } from '../sipstack/local-address.ts';
import { header, parseSipMessage } from '../sipstack/message.ts';
import { RequestRepeater } from './request-repeater.ts';
import type { SipTarget } from './sip-target.ts';

export interface UserAgentOptions {
  readonly target: SipTarget;
  readonly protocol: SipProtocol;
  readonly logger?: Logger;
}

/** Requests in progress from peers whose way back is remembered; beyond it the oldest is forgotten. */
const REPLY_FLOWS_MAX = 1_024;
const USER = 'callscribe';

/**
 * Our end of SIP: one socket, and the transactions and dialogs of sip.js above it. What sip.js leaves to a
 * reliable transport is added here: retransmission over UDP, and the way that each message takes.
 */
export class CallerUserAgent implements AsyncDisposable {
  readonly core: UserAgentCore;
  /** Our address on the way to the target; media sockets are bound there too. */
  readonly localHost: string;
  readonly #endpoint: SipEndpoint;
  readonly #repeater = new RequestRepeater();
  readonly #replyFlows = new Map<string, SipFlow>();
  readonly #addresses = new Map<string, Promise<string>>();
  #isOpen = true;

  /** @throws {CallscribeError} `SIP_NO_ANSWER` when the target's name is unknown or there is no way to it */
  static async open(options: UserAgentOptions): Promise<CallerUserAgent> {
    const { target, protocol, logger = silentLogger } = options;
    try {
      const localHost = await localAddressTowards((await lookup(target.host)).address);
      const received: { by?: CallerUserAgent } = {};
      const endpoint = await openSipEndpoint({
        listen: { protocol, host: localHost, port: 0 },
        onMessage: (bytes, flow) => received.by?.receive(bytes, flow),
        logger,
      });
      return (received.by = new CallerUserAgent(endpoint, localHost));
    } catch (thrown) {
      throw new CallscribeError(
        'SIP_NO_ANSWER',
        `no way to ${target.host}: the name or the network is unknown`,
        {
          cause: thrown,
        },
      );
    }
  }

  private constructor(endpoint: SipEndpoint, localHost: string) {
    this.#endpoint = endpoint;
    this.localHost = localHost;
    const sentBy = `${uriHost(localHost)}:${endpoint.bound.port}`;
    const uri = parseUri(`sip:${USER}@${sentBy}${endpoint.protocol === 'tcp' ? ';transport=tcp' : ''}`);
    // sip.js logs whole messages, which hold numbers.
    const loggerFactory = new LoggerFactory();
    loggerFactory.builtinEnabled = false;
    const transport = {
      protocol: endpoint.protocol.toUpperCase(),
      send: (message: string): Promise<void> => this.#send(message),
    };
    this.core = new UserAgentCore({
      aor: uri,
      contact: { pubGruu: undefined, tempGruu: undefined, uri, toString: () => `<${uri.toString()}>` },
      displayName: '',
      loggerFactory,
      hackViaTcp: false,
      routeSet: [],
      sipjsId: '',
      supportedOptionTags: [],
      supportedOptionTagsResponse: [],
      userAgentHeaderFieldValue: 'callscribe-call',
      viaForceRport: true,
      viaHost: sentBy,
      authenticationFactory: () => undefined,
      transportAccessor: () => transport,
    });
  }

  get contactUri(): string {
    return this.core.configuration.contact.uri.toString();
  }

  /** What came from the network. What sip.js can't read is dropped, as a datagram that was lost. */
  receive(bytes: Buffer, flow: SipFlow): void {
    if (!this.#isOpen) return;
    // One character a byte, since sip.js cuts the body by counting characters.
    const message = Parser.parseMessage(
      bytes.toString('latin1'),
      this.core.loggerFactory.getLogger('parser'),
    );
    if (message === undefined) return;
    if (message instanceof IncomingRequestMessage) {
      this.#replyFlows.set(message.viaBranch, flow);
      if (this.#replyFlows.size > REPLY_FLOWS_MAX) {
        this.#replyFlows.delete(this.#replyFlows.keys().next().value!);
      }
      this.core.receiveIncomingRequestFromTransport(message);
    } else {
      this.#repeater.answered(message.viaBranch, message.method, message.statusCode ?? 0);
      this.core.receiveIncomingResponseFromTransport(message);
    }
  }

  async #send(text: string): Promise<void> {
    const bytes = Buffer.from(text, 'utf8');
    const message = parseSipMessage(bytes);
    const branch = readVia(splitList(header(message, 'via') ?? '')[0] ?? '')?.parameters.get('branch') ?? '';
    if (message.kind === 'response') {
      const flow = this.#replyFlows.get(branch);
      if (flow === undefined) {
        throw new CallscribeError('SIP_FLOW_CLOSED', 'the way back of a response is unknown');
      }
      await flow.send(bytes);
      return;
    }
    // RFC 3261 §8.1.2: the topmost Route, else the Request-URI.
    const route = /<([^>]+)>/.exec(header(message, 'route') ?? '')?.[1];
    const flow = await this.#endpoint.flowTo(await this.#resolve(route ?? message.uri));
    if (flow.protocol === 'udp' && message.method !== 'ACK' && this.#isOpen) {
      this.#repeater.sent(branch, message.method, () => {
        // A datagram that the system refuses is a lost one.
        flow.send(bytes).catch(() => undefined);
      });
    }
    await flow.send(bytes);
  }

  async #resolve(uri: string): Promise<SocketAddress> {
    const parts = readSipUri(uri);
    if (parts === undefined) throw new CallscribeError('SIP_MALFORMED', 'a request has no SIP URI to go to');
    let address = this.#addresses.get(parts.host);
    if (address === undefined) {
      address = lookup(parts.host).then((found) => found.address);
      this.#addresses.set(parts.host, address);
    }
    return { host: await address, port: parts.port ?? 5060 };
  }

  /** Ends every transaction and dialog without another message, and frees the socket. */
  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#repeater.close();
    this.core.dispose();
    await this.#endpoint.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** @throws {CallscribeError} `SIP_MALFORMED` */
export function parseUri(text: string): URI {
  const uri = Grammar.URIParse(text);
  if (uri === undefined) throw new CallscribeError('SIP_MALFORMED', 'a SIP URI cannot be read');
  return uri;
}
