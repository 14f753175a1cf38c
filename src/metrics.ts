import { Counter, Gauge, Histogram, Registry } from 'prom-client';

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
  /** Requests that our own code did not answer, by how. */
  readonly ownFailures: Counter<'how'>;
  /** Peers of calls without a sign of life, by what they said when asked. */
  readonly dialogProbes: Counter<'found'>;
  /** Calls that a rule of ROUTES_FILE took or refused; the empty name: no rule matched. */
  readonly routedCalls: Counter<'rule'>;
  /** Messages by what ended them (src/voicemail/record.ts); `abandoned`: before the beep was over. */
  readonly voicemails: Counter<'end'>;
  /** Calls in which a message is taken now. */
  readonly voicemailsInProgress: Gauge;
  /** Changes of ROUTES_FILE. */
  readonly routesReadings: Counter<'outcome'>;
  readonly jobs: Counter<'queue' | 'outcome'>;
  /** What came to the media ports and left them, counted when a leg ends. */
  readonly rtpPackets: Counter<'fate'>;
  readonly rtcpPackets: Counter<'fate'>;
  readonly concealedMs: Counter;
  /** Legs now on which nothing comes though media is expected. */
  readonly silentLegs: Gauge;
  readonly mediaSilences: Counter;
  readonly holds: Counter<'cause'>;
  readonly keys: Counter;
  readonly recordedBytes: Counter;
  /** Writes of audio that failed, by the system's code. */
  readonly recordingWriteFailures: Counter<'code'>;
  /** Audio that was given up because the disk did not take it. */
  readonly recordingUnkeptMs: Counter;
  /** Calls by what became of their audio. */
  readonly recordings: Counter<'outcome'>;
  readonly recordingsDeleted: Counter;
  /** Writes to the journals of calls that failed. */
  readonly journalFailures: Counter;
  /** Calls of dead processes, by what became of them. */
  readonly recoveredCalls: Counter<'outcome'>;
  /** Rounds of the sweeper, and what it gave up. */
  readonly sweeps: Counter<'outcome'>;
  /** Lines about answered calls that could not be noted. */
  readonly ledgerFailures: Counter;
  readonly callsGivenUp: Counter<'fault'>;
  /** What recognition sessions went through (src/asr/resilient-session.ts). */
  readonly asrOutcomes: Counter<'outcome'>;
  readonly asrUnrecognisedMs: Counter;
  readonly unrecognisedCalls: Counter<'outcome'>;
  /** Commands to running calls and to kept audio, by what came of them. */
  readonly controlCommands: Counter<'command' | 'outcome'>;
  /** Attempts to deliver a message, by what became of it (src/webhooks/verdict.ts). */
  readonly webhooks: Counter<'outcome'>;
  /** What went over the bus between processes (src/bus/bus.ts). */
  readonly busMessages: Counter<'outcome'>;
  /** What happened to live streams (src/live/feed.ts). */
  readonly liveStreams: Counter<'outcome'>;
  /** Answered requests of the API; the route is its template, never the address that was asked for. */
  readonly apiRequests: Histogram<'method' | 'route' | 'status'>;
  /** Requests that were turned away before their route, by reason (src/errors.ts). */
  readonly apiRefusals: Counter<'reason'>;
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
    ownFailures: new Counter({
      name: 'callscribe_sip_own_failures_total',
      help: 'SIP requests answered 500 because our own code threw or hung, by which',
      labelNames: ['how'],
      registers,
    }),
    dialogProbes: new Counter({
      name: 'callscribe_sip_dialog_probes_total',
      help: 'peers asked after a long silence whether the call stands, by answer (alive, gone)',
      labelNames: ['found'],
      registers,
    }),
    routedCalls: new Counter({
      name: 'callscribe_routed_calls_total',
      help: 'new calls by the rule of ROUTES_FILE that decided on them; without a name: none did',
      labelNames: ['rule'],
      registers,
    }),
    voicemails: new Counter({
      name: 'callscribe_voicemails_total',
      help: 'messages by what ended them: hangup, key, silence, limit; abandoned: no message was left',
      labelNames: ['end'],
      registers,
    }),
    voicemailsInProgress: new Gauge({
      name: 'callscribe_voicemails_in_progress',
      help: 'calls in which a message is taken now',
      registers,
    }),
    routesReadings: new Counter({
      name: 'callscribe_routes_readings_total',
      help: 'changes of ROUTES_FILE that were taken, or refused with the rules before in force; alarm when refused grows',
      labelNames: ['outcome'],
      registers,
    }),
    jobs: new Counter({
      name: 'callscribe_jobs_total',
      help:
        'facts by queue and outcome (published, refused, handed_over_again, done, retried, different, failed, ' +
        'malformed); the last two are dead letters',
      labelNames: ['queue', 'outcome'],
      registers,
    }),
    rtpPackets: new Counter({
      name: 'callscribe_rtp_packets_total',
      help:
        'packets of ended legs by fate (received, lost, late, duplicate, malformed, foreign, unknown_payload_type, ' +
        'unauthenticated, replayed; sent, left_out); late and duplicate ones are among the received; unauthenticated ' +
        'and replayed ones are of SRTP; what was not sent because the process stood still is left_out',
      labelNames: ['fate'],
      registers,
    }),
    rtcpPackets: new Counter({
      name: 'callscribe_rtcp_packets_total',
      help: 'RTCP packets of ended legs by fate (received, malformed, unauthenticated, sent)',
      labelNames: ['fate'],
      registers,
    }),
    concealedMs: new Counter({
      name: 'callscribe_audio_concealed_ms_total',
      help: 'milliseconds of ended legs whose packets were lost',
      registers,
    }),
    silentLegs: new Gauge({
      name: 'callscribe_legs_silent',
      help: 'legs on which no packet has come for MEDIA_SILENT_SECONDS though the peer announced media',
      registers,
    }),
    mediaSilences: new Counter({
      name: 'callscribe_media_silences_total',
      help: 'times that a leg fell silent for MEDIA_SILENT_SECONDS though the peer announced media',
      registers,
    }),
    holds: new Counter({
      name: 'callscribe_holds_total',
      help: 'holds of legs by their first cause (inactive, null_address, port_zero, metadata, no_rtp)',
      labelNames: ['cause'],
      registers,
    }),
    keys: new Counter({
      name: 'callscribe_dtmf_keys_total',
      help: 'keys that callers pressed, as telephone-events told',
      registers,
    }),
    recordedBytes: new Counter({
      name: 'callscribe_recording_written_bytes_total',
      help: 'bytes of legs in progress that were written to disk',
      registers,
    }),
    recordingWriteFailures: new Counter({
      name: 'callscribe_recording_write_failures_total',
      help: 'writes of audio that the disk refused, by system code; each is repeated',
      labelNames: ['code'],
      registers,
    }),
    recordingUnkeptMs: new Counter({
      name: 'callscribe_recording_unkept_ms_total',
      help: 'milliseconds of audio given up because more waited for the disk than the bound',
      registers,
    }),
    recordings: new Counter({
      name: 'callscribe_recordings_total',
      help: 'ended calls by what became of their audio (saved, none, failed)',
      labelNames: ['outcome'],
      registers,
    }),
    journalFailures: new Counter({
      name: 'callscribe_journal_failures_total',
      help: 'writes to the journal of a call that failed, and are repeated; meanwhile the call would not be recovered',
      registers,
    }),
    recoveredCalls: new Counter({
      name: 'callscribe_calls_recovered_total',
      help: 'calls of dead processes by outcome (recovered, ended-before, never-answered, failed); failed ones are tried again',
      labelNames: ['outcome'],
      registers,
    }),
    ledgerFailures: new Counter({
      name: 'callscribe_ledger_failures_total',
      help: 'lines about answered calls that could not be noted on disk: the report does not know of them',
      registers,
    }),
    sweeps: new Counter({
      name: 'callscribe_sweeps_total',
      help: 'rounds of the sweeper by outcome (done, elsewhere, failed); alarm where none is done for an hour',
      labelNames: ['outcome'],
      registers,
    }),
    callsGivenUp: new Counter({
      name: 'callscribe_calls_given_up_total',
      help: 'calls that hung and were given up, by fault (lost, sentences_missing)',
      labelNames: ['fault'],
      registers,
    }),
    recordingsDeleted: new Counter({
      name: 'callscribe_recordings_deleted_total',
      help: 'recordings deleted because they are older than RECORDING_KEEP_DAYS',
      registers,
    }),
    asrOutcomes: new Counter({
      name: 'callscribe_asr_outcomes_total',
      help:
        'what recognition sessions went through (lost: a task ended before its time, stalled: it gave nothing though ' +
        'speech went in, reconnected: another took over, renewed: as planned, postponed: nothing for too long, ' +
        'refused: for a reason that no retry mends)',
      labelNames: ['outcome'],
      registers,
    }),
    liveStreams: new Counter({
      name: 'callscribe_live_streams_total',
      help:
        'live streams by what happened to them (too_slow: disconnected, revoked: their credential holds no more, reset: could not go on where they were, ' +
        'partial_dropped: a partial sentence was left out for a slow one; malformed: a message could not be read)',
      labelNames: ['outcome'],
      registers,
    }),
    controlCommands: new Counter({
      name: 'callscribe_control_commands_total',
      help: 'commands to calls of this process (pause, resume, relabel, recognise) by outcome: done, failed, not-here',
      labelNames: ['command', 'outcome'],
      registers,
    }),
    busMessages: new Counter({
      name: 'callscribe_bus_messages_total',
      help:
        'messages on the bus between processes by outcome (sent, received, dropped, failed: their listener threw), ' +
        'packets that could not be read (malformed), and times that listeners may have missed some (lost)',
      labelNames: ['outcome'],
      registers,
    }),
    unrecognisedCalls: new Counter({
      name: 'callscribe_unrecognised_calls_total',
      help: 'calls that ended with audio that no recogniser took (kept: for npm run recognise, lost: it could not be kept)',
      labelNames: ['outcome'],
      registers,
    }),
    webhooks: new Counter({
      name: 'callscribe_webhooks_total',
      help:
        'attempts to deliver a webhook (delivered; postpone: the message was refused, hold: the endpoint failed, both come ' +
        'again; bury: given up; disable: the endpoint gets no more; release: this process ended; dropped: the call is ' +
        'gone), and looks for messages that failed (not_looked)',
      labelNames: ['outcome'],
      registers,
    }),
    asrUnrecognisedMs: new Counter({
      name: 'callscribe_asr_unrecognised_ms_total',
      help: 'milliseconds of audio that sessions gave up; what of it can be recognised later waits in DATA_DIR',
      registers,
    }),
    apiRequests: new Histogram({
      name: 'callscribe_api_request_seconds',
      help: 'answered requests of the API by method, route and status; of streams until their end',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    }),
    apiRefusals: new Counter({
      name: 'callscribe_api_refusals_total',
      help:
        'requests turned away for who sent them (UNAUTHENTICATED, LOOPBACK_ONLY, SCOPE_MISSING, TOO_MANY_REQUESTS, ' +
        'TOO_MANY_STREAMS)',
      labelNames: ['reason'],
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
