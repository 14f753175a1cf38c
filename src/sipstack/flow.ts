export type SipProtocol = 'udp' | 'tcp' | 'tls';

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

export interface SipAddress extends SocketAddress {
  readonly protocol: SipProtocol;
}

/**
 * The way between one local and one remote address (RFC 5626 §2: for TCP and TLS a connection, for UDP the pair of addresses).
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

/** What is done for an address: `refuse` answers what it asks with 403, `ignore` nothing at all. */
export type Admission = 'serve' | 'refuse' | 'ignore';

/**
 * Why something was turned away before it was a message: too many connections, a TLS handshake that failed, a message
 * that is too long or whose length cannot be read, a message that was begun and not finished.
 */
export type TurnedAway = 'connections' | 'tls' | 'frame' | 'unfinished';

/** A bound socket. Counters are totals since it was opened. */
export interface SipEndpoint extends AsyncDisposable {
  readonly protocol: SipProtocol;
  /** The bound address, with the port that the system chose where 0 was asked. */
  readonly bound: SocketAddress;
  /** A flow to a peer: on a stream the open connection to it, or a new one. @throws {CallscribeError} `SIP_FLOW_CLOSED` */
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
  /** Connections that were closed at once, because of their address or their number. */
  readonly connectionsRefused: number;
  readonly connections: number;
}
