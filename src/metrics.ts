import { Counter, Gauge, Registry } from 'prom-client';

/** Every figure that a process shows at /metrics: name, unit and labels in one table. */
export interface Metrics {
  readonly registry: Registry;
  /** Initial INVITEs by the final status that they got. */
  readonly invites: Counter<'status'>;
  /** Datagrams, requests and connections from peers outside SIP_ALLOW. */
  readonly refusedPeers: Counter;
  /** What did not become a call or an answer, by reason (src/sip/turned-away.ts). */
  readonly turnedAway: Counter<'reason'>;
  readonly tlsUnusable: Counter;
  readonly edgeLost: Counter;
  /** Peers of calls without a sign of life, by what they said when asked. */
  readonly dialogProbes: Counter<'found'>;
  readonly jobs: Counter<'queue' | 'outcome'>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    invites: new Counter({
      name: 'callscribe_invites_total',
      help: 'initial INVITEs by final status',
      labelNames: ['status'],
      registers,
    }),
    refusedPeers: new Counter({
      name: 'callscribe_sip_refused_peers_total',
      help: 'datagrams, requests and connections from peers outside SIP_ALLOW',
      registers,
    }),
    turnedAway: new Counter({
      name: 'callscribe_sip_turned_away_total',
      help:
        'what the SIP side turned away, by reason (address, rate, connections, tls, frame, headers, unfinished, ' +
        'calls_per_second, credentials, guessing)',
      labelNames: ['reason'],
      registers,
    }),
    tlsUnusable: new Counter({
      name: 'callscribe_sip_tls_unusable_total',
      help: 'times that new certificate files for SIP over TLS could not be used; the old ones stay',
      registers,
    }),
    edgeLost: new Counter({
      name: 'callscribe_sip_edge_lost_total',
      help: 'times that the connection to the SIP edge was lost',
      registers,
    }),
    dialogProbes: new Counter({
      name: 'callscribe_sip_dialog_probes_total',
      help: 'peers asked after a long silence whether the call stands, by answer (alive, gone)',
      labelNames: ['found'],
      registers,
    }),
    jobs: new Counter({
      name: 'callscribe_jobs_total',
      help: 'jobs by queue and outcome (published, refused, done, failed, malformed)',
      labelNames: ['queue', 'outcome'],
      registers,
    }),
  };
}

/** A gauge that is read when somebody looks. */
export function observe(metrics: Metrics, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [metrics.registry],
    collect() {
      this.set(read());
    },
  });
}
