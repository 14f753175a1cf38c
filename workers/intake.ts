import { createSocket } from 'node:dgram';
import { join } from 'node:path';

import type { ResilientSessionServices } from '../src/asr/resilient-session.ts';
import type { OpenAsrSession } from '../src/asr/session.ts';
import type { Bus } from '../src/bus/bus.ts';
import { type IntakeServices, isAccepting, openCall } from '../src/call/intake.ts';
import type { Publisher } from '../src/call/publisher.ts';
import { CallRegistry } from '../src/call/registry.ts';
import type { Clock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import { AnsweredCalls, deleteOldAnsweredCalls } from '../src/ledger/answered-calls.ts';
import type { LiveHub } from '../src/live/hub.ts';
import { LiveRelay } from '../src/live/relay.ts';
import type { Logger } from '../src/log.ts';
import { type Metrics, observe } from '../src/metrics.ts';
import { Pacer } from '../src/pacer.ts';
import { LegTicker } from '../src/rtp/leg-ticker.ts';
import { PortPool } from '../src/rtp/port-pool.ts';
import { openLegReceiver } from '../src/rtp/receiver.ts';
import { InviteGate } from '../src/sip/invite-gate.ts';
import { SipListener } from '../src/sip/listener.ts';
import { localAddressTowards } from '../src/sipstack/local-address.ts';
import { startCallControl } from './call-control.ts';
import { openCallRecovery } from './call-recovery.ts';
import { openMessageWaiting } from './message-waiting.ts';
import { openRecordings } from './recordings.ts';
import type { Role } from './role-type.ts';
import { openCallRoutes } from './routes.ts';
import type { SipSide } from './sip-side.ts';
import { unrecognisedKeeper } from './unrecognised.ts';

export interface IntakeDeps {
  readonly config: Config;
  readonly sip: Pick<SipSide, 'server' | 'peers' | 'turnedAway'>;
  readonly openAsr: OpenAsrSession;
  /** What `openAsr` opens its sessions with; for calls that are recovered. */
  readonly recognition: ResilientSessionServices;
  readonly publisher: Publisher;
  /** Whether the queue takes what calls give; while it does not, new calls are refused. */
  readonly canPublish: () => boolean;
  readonly live: LiveHub;
  readonly bus: Bus;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The intake: SIP in → legs → sentences to the queue and to the live hub. `close()` drains. */
export async function startIntakeRole(deps: IntakeDeps): Promise<Role & { isReady(): boolean }> {
  const { config, metrics, clock, sip } = deps;
  // First: a wrong file must leave nothing open.
  const routes = await openCallRoutes(config, deps);
  const registry = new CallRegistry(config.maxLegs);
  const ports = new PortPool({
    address: config.rtp.address ?? (await wildcardAddress()),
    firstPort: config.rtp.portMin,
    lastPort: config.rtp.portMax,
    listenFirstMs: LISTEN_FIRST_MS,
    startAt: Math.random(),
    clock,
  });
  const ticker = new LegTicker(clock);
  const pacer = new Pacer(clock);
  const recordings = await openRecordings(deps);
  const recovery = await openCallRecovery(deps);
  const answeredCalls = noteAnsweredCalls(deps);
  const relay = new LiveRelay(deps.live, deps.bus);
  const messageWaiting = await openMessageWaiting({ ...deps, routes });
  const services: IntakeServices = {
    ...deps,
    recordings,
    openJournal: recovery.openJournal,
    keepUnrecognised: unrecognisedKeeper(deps),
    registry,
    route: routes.route,
    joinHeaders: config.sip.joinHeaders,
    openReceiver: (options) =>
      openLegReceiver({
        ...options,
        ports,
        ticker,
        pacer,
        clock,
        silentAfterMs: config.rtp.silentAfterMs,
      }),
    mediaAddressFor: async (peer) =>
      config.rtp.advertisedAddress ?? config.rtp.address ?? localAddressTowards(peer),
  };
  observe(metrics, 'callscribe_calls', 'calls in progress', () => registry.callCount);
  observe(metrics, 'callscribe_legs', 'legs in progress', () => registry.legCount);
  observe(
    metrics,
    'callscribe_calls_leaving',
    'ended calls whose recording is being made or waits for its turn',
    () => registry.leavingCount,
  );
  observe(metrics, 'callscribe_rtp_port_pairs_taken', 'media port pairs in use', () => ports.usage.taken);

  const listener = await SipListener.connect({
    server: sip.server,
    peers: sip.peers,
    gate: new InviteGate({
      callsPerSecond: config.sip.callsPerSecond,
      digest: config.sip.digest,
      nonceKey: sip.server.secret,
      onTurnedAway: (reason) => {
        sip.turnedAway.note(reason);
      },
      clock,
    }),
    onInvite: (request) => openCall(services, request),
    isAccepting: () => isAccepting(services),
    onInviteAnswered: (status) => {
      metrics.invites.inc({ status: String(status) });
    },
    onProbe: (found) => {
      metrics.dialogProbes.inc({ found });
    },
    // drachtio-server 0.9.10 dies 32 s after a reliable response whose PRACK never comes, with all its calls.
    reliableProvisional: config.drachtio === undefined ? 'where-required' : 'never',
    quietLimitMs: config.sip.quietLimitMs,
    onFailed: (how) => {
      metrics.ownFailures.inc({ how });
    },
    onEdgeLost: () => {
      metrics.edgeLost.inc();
    },
    subscriptions: messageWaiting.subscriptions,
    logger: deps.logger,
  });
  observe(metrics, 'callscribe_mwi_subscriptions', 'subscriptions to mailboxes now', () => {
    return listener.subscriptionCount;
  });
  recovery.start(listener);
  const control = await startCallControl({ ...deps, registry });
  let closing: Promise<void> | undefined;
  return {
    name: 'intake',
    isReady: () => listener.connected && isAccepting(services),
    close: () =>
      (closing ??= registry.drain(config.drainTimeoutMs).then(async () => {
        await control.close();
        await recovery.close();
        await listener.endSubscriptions();
        await messageWaiting.close();
        listener.close();
        await recordings.close();
        await answeredCalls.close();
        relay.close();
        routes.close();
      })),
  };
}

/** What the report compares the rows with. */
function noteAnsweredCalls({ config, live, metrics, logger, clock }: IntakeDeps): { close(): Promise<void> } {
  const directory = join(config.dataDir, 'answered');
  const onFailed = (): void => {
    metrics.ledgerFailures.inc();
  };
  const ledger = new AnsweredCalls({ directory, logger, onFailed });
  const note = ledger.note.bind(ledger);
  live.on('call', note);
  deleteOldAnsweredCalls(directory, clock.wallTime()).catch(onFailed);
  return {
    close: async () => {
      live.off('call', note);
      await ledger.close();
    },
  };
}

/** Three packets of 20 ms. */
const LISTEN_FIRST_MS = 60;

/** `::` takes IPv4 and IPv6; where the kernel has no IPv6, `0.0.0.0`. */
function wildcardAddress(): Promise<string> {
  const socket = createSocket('udp6');
  return new Promise<string>((resolve) => {
    socket.once('error', () => {
      resolve('0.0.0.0');
    });
    socket.bind(0, '::', () => {
      resolve('::');
    });
  }).finally(() => {
    socket.close();
  });
}
