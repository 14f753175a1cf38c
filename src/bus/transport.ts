/** What carries packets of text: one connection to publish on, one to listen on; both come back by themselves. */
export interface BusTransport {
  /** How long a packet may be, in bytes of UTF-8. */
  readonly packetMaxBytes: number;
  /** Sends packets in order. Rejects when it is not known that all were sent. */
  send(channel: string, packets: readonly string[]): Promise<void>;
  /** Resolves when packets of the channel come; waits for a connection as long as it takes. */
  listen(channel: string): Promise<void>;
  unlisten(channel: string): Promise<void>;
  close(): Promise<void>;
}

export interface TransportEvents {
  onPacket(channel: string, packet: string): void;
  /** The listening connection was away; it listens again, to every channel that it was told. */
  onBack(): void;
}

/** Binds a transport to whoever hears it. */
export type OpenTransport = (events: TransportEvents) => BusTransport;
