import type { Clock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import { type AppAddress, type Edge, startEdge } from '../src/edge/edge.ts';
import type { Logger } from '../src/log.ts';
import { type Metrics, observe } from '../src/metrics.ts';
import { PeerAccess } from '../src/sip/peer-access.ts';
import { TurnedAway } from '../src/sip/turned-away.ts';

export interface SipSideDeps {
  readonly config: Config;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Runs the embedded edge for the intakes of other processes, there and with that secret. */
  readonly apps?: AppAddress;
}

/** A drachtio-server or the embedded edge, and who may speak to it. */
export interface SipSide {
  readonly server: { readonly host: string; readonly port: number; readonly secret: string };
  /** Where the embedded edge listens; empty where a drachtio-server does. */
  readonly sipAddresses: Edge['sipAddresses'];
  readonly peers: PeerAccess;
  readonly turnedAway: TurnedAway;
  /** Intakes that are connected to the embedded edge now. */
  apps(): number;
  close(): Promise<void>;
}

/** @throws {CallscribeError} ADDRESS_IN_USE, SIP_TLS_CREDENTIALS */
export async function startSipSide(deps: SipSideDeps): Promise<SipSide> {
  const { config, metrics, logger, clock } = deps;
  const turnedAway = new TurnedAway({
    count: (reason) => {
      metrics.turnedAway.inc({ reason });
      if (reason === 'address' || reason === 'rate') metrics.refusedPeers.inc();
    },
    logger,
  });
  const peers = new PeerAccess({
    allow: config.sip.allow,
    strangers: config.sip.strangers,
    onTurnedAway: (reason) => {
      turnedAway.note(reason);
    },
    clock,
  });
  const shared = { peers, turnedAway };
  if (config.drachtio !== undefined && deps.apps === undefined) {
    const close = (): Promise<void> => {
      turnedAway.close();
      return Promise.resolve();
    };
    return { ...shared, server: config.drachtio, sipAddresses: [], apps: () => 0, close };
  }
  const edge = await startEdge({
    listen: config.sip.listen,
    admit: (address) => peers.admit(address),
    onTurnedAway: (reason) => {
      turnedAway.note(reason);
    },
    limits: {
      messageMaxBytes: config.sip.messageMaxBytes,
      connectionsPerSourceMax: config.sip.connectionsPerSource,
    },
    tls: config.sip.tls,
    apps: deps.apps,
    onTlsUnusable: () => {
      metrics.tlsUnusable.inc();
    },
    logger,
    clock,
  });
  const apps = (): number => edge.counters().apps;
  observe(metrics, 'callscribe_sip_connections', 'SIP connections over TCP and TLS', () => {
    return edge.counters().connections;
  });
  observe(metrics, 'callscribe_sip_transactions', 'SIP requests in progress, in either direction', () => {
    const { serverTransactions, clientTransactions } = edge.counters();
    return serverTransactions + clientTransactions;
  });
  observe(metrics, 'callscribe_edge_apps', 'intakes that are connected to the embedded edge', () => apps());
  const close = async (): Promise<void> => {
    await edge.close();
    turnedAway.close();
  };
  return { ...shared, server: edge, sipAddresses: edge.sipAddresses, apps, close };
}
