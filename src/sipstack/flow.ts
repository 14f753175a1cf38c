export type SipProtocol = 'udp' | 'tcp';

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

export interface SipAddress extends SocketAddress {
  readonly protocol: SipProtocol;
}

/**
 * The way between one local and one remote address (RFC 5626 §2: for TCP a connection, for UDP the pair of addresses).
 * What came in on a flow is answered on it, which is all the response routing that RFC 3581 and §18.2.2 ask for.
 */
export interface SipFlow {
  readonly protocol: SipProtocol;
  readonly remote: SocketAddress;
  /** Our own address as the peer reaches it: never a wildcard. */
  readonly local: SocketAddress;
  /** False once the connection is gone; a UDP flow lives as long as its socket. */
  readonly isOpen: boolean;
  /** Resolves when the message is handed to the system. @throws {CallscribeError} `SIP_FLOW_CLOSED` */
  send(message: Uint8Array): Promise<void>;
}

/** What the endpoint hands up: the bytes of one message, and where it came from. */
export type OnSipMessage = (bytes: Buffer, flow: SipFlow) => void;

/** A bound socket. Counters are totals since it was opened. */
export interface SipEndpoint extends AsyncDisposable {
  readonly protocol: SipProtocol;
  /** The bound address, with the port that the system chose where 0 was asked. */
  readonly bound: SocketAddress;
  /** A flow to a peer: for TCP the open connection to it, or a new one. @throws {CallscribeError} `SIP_FLOW_CLOSED` */
  flowTo(remote: SocketAddress): Promise<SipFlow>;
  counters(): EndpointCounters;
  close(): Promise<void>;
}

export interface EndpointCounters {
  readonly received: number;
  readonly sent: number;
  /** Messages that could not be handed to the system. */
  readonly sendFailures: number;
  /** Streams that were cut because their frame was lost or a message was too long. */
  readonly framesLost: number;
  /** Connections refused at the bound, TCP only. */
  readonly connectionsRefused: number;
  readonly connections: number;
}
