import { Counter, Gauge, Registry } from 'prom-client';

/** Every figure that a process shows at /metrics: name, unit and labels in one table. */
export interface Metrics {
  readonly registry: Registry;
  /** Initial INVITEs by the final status that they got. */
  readonly invites: Counter<'status'>;
  /** Requests from peers outside SIP_ALLOW, answered 403. */
  readonly refusedPeers: Counter;
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
      help: 'requests from peers outside SIP_ALLOW',
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
