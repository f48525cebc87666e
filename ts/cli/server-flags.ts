/** The flags of `narthex server`: Prometheus' names, defaults and help, as a table. */

export type FlagKind = 'text' | 'bool' | 'duration' | 'bytes' | 'int' | 'number' | 'list' | 'enum';

export interface FlagSpec {
  name: string;
  kind: FlagKind;
  /** As text, the way status/flags prints it; '' where there is none. */
  default: string;
  help: string;
  /** Values of an `enum`. */
  values?: readonly string[];
  /** Accepted for the sake of existing command lines; a warning says that it does nothing yet. */
  inert?: boolean;
  /** Not in `--help`. */
  hidden?: boolean;
  /** The only mode that the flag can be used in. */
  mode?: 'server' | 'agent';
}

const flag = (name: string, kind: FlagKind, initial: string, help: string, more: Partial<FlagSpec> = {}): FlagSpec => ({
  name,
  kind,
  default: initial,
  help,
  ...more,
});

const inert = { inert: true } as const;
const hidden = { hidden: true } as const;
const serverOnly = { mode: 'server' } as const;
const agentOnly = { mode: 'agent' } as const;

const CONFIG_FLAGS: FlagSpec[] = [
  flag('config.file', 'text', 'prometheus.yml', 'Configuration file path.'),
  flag('config.auto-reload', 'bool', 'false', 'Reload the configuration file when it changes.'),
  flag('config.auto-reload-interval', 'duration', '30s', 'How often to look for changes of the file.'),
];

const WEB_FLAGS: FlagSpec[] = [
  flag('web.listen-address', 'list', '0.0.0.0:9090', 'Address to listen on. Can be repeated.'),
  flag('web.config.file', 'text', '', 'File that can enable TLS or authentication. Refused until it is supported.'),
  flag('web.read-timeout', 'duration', '5m', 'Longest time to read a request, and to keep idle connections.'),
  flag('web.max-connections', 'int', '512', 'Most simultaneous connections across all listeners.'),
  flag('web.max-notifications-subscribers', 'int', '16', 'Most subscribers to live notifications.', inert),
  flag(
    'web.external-url',
    'text',
    '',
    'URL under which the server is reachable from outside; its path prefixes all routes.',
  ),
  flag('web.route-prefix', 'text', '', 'Prefix of all routes. Defaults to the path of --web.external-url.'),
  flag('web.user-assets', 'text', '', 'Directory of static files, served at /user.', inert),
  flag('web.enable-lifecycle', 'bool', 'false', 'Enable shutdown and reload via HTTP request.'),
  flag('web.enable-admin-api', 'bool', 'false', 'Enable API endpoints for admin control actions.'),
  flag('web.enable-remote-write-receiver', 'bool', 'false', 'Enable the endpoint that accepts remote write.'),
  flag(
    'web.remote-write-receiver.accepted-protobuf-messages',
    'list',
    'prometheus.WriteRequest,io.prometheus.write.v2.Request',
    'Messages of remote write to accept.',
  ),
  flag('web.enable-otlp-receiver', 'bool', 'false', 'Enable the endpoint that accepts OTLP.'),
  flag('web.console.templates', 'text', 'consoles', 'Directory of console templates.', inert),
  flag('web.console.libraries', 'text', 'console_libraries', 'Directory of console libraries.', inert),
  flag('web.page-title', 'text', 'Narthex', 'Document title of the web page.'),
  flag(
    'web.cors.origin',
    'text',
    '.*',
    "Regex for CORS origin, fully anchored. Example: 'https?://(domain1|domain2)\\.com'.",
  ),
  flag('web.search.max-limit', 'int', '10000', 'Upper bound of limit in the search API.', { ...inert, ...serverOnly }),
];

const TSDB_FLAGS: FlagSpec[] = [
  flag('storage.tsdb.path', 'text', 'data/', 'Directory of the database.'),
  flag('storage.tsdb.min-block-duration', 'duration', '2h', 'Smallest time range of a block.', hidden),
  flag('storage.tsdb.max-block-duration', 'duration', '', 'Largest time range of a compacted block.', hidden),
  flag('storage.tsdb.max-block-chunk-segment-size', 'bytes', '0B', 'Largest chunk segment of a block.', hidden),
  flag('storage.tsdb.wal-segment-size', 'bytes', '0B', 'Size at which segments of the log are split.', hidden),
  flag(
    'storage.tsdb.retention.time',
    'duration',
    '',
    'How long to keep samples, where the configuration has no storage.tsdb.retention. Default 15d where no size is given either.',
  ),
  flag(
    'storage.tsdb.retention.size',
    'bytes',
    '0B',
    'Most bytes of blocks to keep, likewise. Units: B, KB, MB, GB, TB, PB, EB.',
  ),
  flag('storage.tsdb.no-lockfile', 'bool', 'false', 'Do not create a lock file in the data directory.'),
  flag('storage.tsdb.allow-overlapping-compaction', 'bool', 'true', 'Compact blocks that overlap.', hidden),
  flag('storage.tsdb.wal-compression', 'bool', 'true', 'Compress the log.', hidden),
  flag('storage.tsdb.wal-compression-type', 'enum', 'snappy', 'How the log is compressed.', {
    ...hidden,
    values: ['snappy', 'zstd'],
  }),
  flag('storage.tsdb.head-chunks-write-queue-size', 'int', '0', 'Means nothing here.', {
    ...inert,
    ...hidden,
  }),
  flag('storage.tsdb.samples-per-chunk', 'int', '120', 'Samples a chunk aims at.', hidden),
  flag(
    'storage.tsdb.delayed-compaction.max-percent',
    'int',
    '10',
    'Longest random delay of compaction, in percent of the smallest block, with the feature delayed-compaction.',
    hidden,
  ),
  flag(
    'storage.tsdb.delay-compact-file.path',
    'text',
    '',
    "JSON file of uploaded blocks, such as Thanos' shipper keeps; other blocks of the first level are not merged.",
  ),
  flag('storage.tsdb.block-reload-interval', 'duration', '1m', 'How often to look for new blocks.', hidden),
];

const AGENT_FLAGS: FlagSpec[] = [
  flag('agent', 'bool', 'false', 'Run as an agent: scrape and receive, send on by remote write, answer no queries.'),
  ...[
    flag('storage.agent.path', 'text', 'data-agent/', 'Directory of the agent.'),
    flag('storage.agent.wal-segment-size', 'bytes', '0B', 'Size at which segments of the log are split.', hidden),
    flag('storage.agent.wal-compression', 'bool', 'true', 'Compress the log.'),
    flag('storage.agent.wal-compression-type', 'enum', 'snappy', 'How the log is compressed.', {
      ...hidden,
      values: ['snappy', 'zstd'],
    }),
    flag('storage.agent.wal-truncate-frequency', 'duration', '', 'How often to truncate the log.', hidden),
    flag('storage.agent.retention.min-time', 'duration', '5m', 'Samples younger than this stay in the log.'),
    flag('storage.agent.retention.max-time', 'duration', '4h', 'Samples older than this go, whether sent or not.'),
    flag('storage.agent.checkpoint-from-in-memory-series', 'bool', 'false', 'Build checkpoints from memory alone.'),
    flag('storage.agent.checkpoint-batch-size', 'int', '1000', 'Series in a record of a checkpoint from memory.'),
    flag('storage.agent.no-lockfile', 'bool', 'false', 'Do not create a lock file in the data directory.'),
  ].map((spec) => ({ ...spec, ...agentOnly })),
];

const REMOTE_AND_RULE_FLAGS: FlagSpec[] = [
  flag('storage.remote.flush-deadline', 'duration', '1m', 'How long to flush samples at shutdown.'),
  flag(
    'storage.remote.wal-held-size',
    'bytes',
    '4GiB',
    'Most bytes of each log that are kept for remote write that is behind, where they would be removed otherwise.',
  ),
  ...[
    flag(
      'storage.remote.read-sample-limit',
      'number',
      '5e7',
      'Most samples in an answer of remote read to a single query, unless it is streamed. 0 means no limit.',
    ),
    flag('storage.remote.read-concurrent-limit', 'int', '10', 'Most concurrent remote reads. 0 means no limit.'),
    flag(
      'storage.remote.read-max-bytes-in-frame',
      'int',
      '1048576',
      'Most bytes in a frame of a streamed answer of remote read; a client may have a limit as well.',
    ),
    flag('rules.alert.for-outage-tolerance', 'duration', '1h', 'Longest outage after which "for" is restored.', inert),
    flag('rules.alert.for-grace-period', 'duration', '10m', 'Least time between an alert and restored "for".', inert),
    flag('rules.alert.resend-delay', 'duration', '1m', 'Least time before an alert is sent again.', inert),
    flag('rules.max-concurrent-evals', 'int', '4', 'Most independent rules evaluated at once.', inert),
    flag('alertmanager.notification-queue-capacity', 'int', '10000', 'Notifications waiting at most.', inert),
    flag('alertmanager.notification-batch-size', 'int', '256', 'Most notifications in a batch.', inert),
    flag('alertmanager.drain-notification-queue-on-shutdown', 'bool', 'true', 'Send what waits at shutdown.', inert),
  ].map((spec) => ({ ...spec, ...serverOnly })),
];

const SCRAPE_AND_QUERY_FLAGS: FlagSpec[] = [
  flag('scrape.adjust-timestamps', 'bool', 'true', 'Align timestamps to the schedule.', hidden),
  flag('scrape.timestamp-tolerance', 'duration', '2ms', 'How far timestamps are adjusted.', hidden),
  flag('scrape.discovery-reload-interval', 'duration', '5s', 'How often target groups are taken over.', hidden),
  ...[
    flag('query.lookback-delta', 'duration', '5m', 'How far back a query looks for a sample.'),
    flag('query.timeout', 'duration', '2m', 'Longest time a query may take.'),
    flag('query.max-concurrency', 'int', '20', 'Queries that may run at once.'),
    flag(
      'query.max-samples',
      'number',
      '50000000',
      'Most samples a query may hold in memory, as Prometheus counts them.',
    ),
    flag('query.max-memory-bytes', 'number', '4294967296', 'Most bytes a query may really take, its answer included.'),
  ].map((spec) => ({ ...spec, ...serverOnly })),
];

const GENERAL_FLAGS: FlagSpec[] = [
  flag('enable-feature', 'list', '', 'Comma separated feature names to enable.'),
  flag('log.level', 'enum', 'info', 'Only log messages with the given severity or above.', {
    values: ['debug', 'info', 'warn', 'error'],
  }),
  flag('log.format', 'enum', 'logfmt', 'Output format of log messages.', { values: ['logfmt', 'json'] }),
  flag('auto-gomaxprocs', 'bool', 'true', 'Means nothing here.', { ...inert, ...hidden }),
  flag('auto-gomemlimit', 'bool', 'true', 'Means nothing here.', { ...inert, ...hidden }),
  flag('auto-gomemlimit.ratio', 'number', '0.9', 'Means nothing here.', { ...inert, ...hidden }),
  flag('auto-gomemlimit.refresh-interval', 'duration', '0s', 'Means nothing here.', { ...inert, ...hidden }),
];

/** All flags, in the order of `--help`. */
export const SERVER_FLAGS: readonly FlagSpec[] = [
  ...CONFIG_FLAGS,
  ...WEB_FLAGS,
  ...TSDB_FLAGS.map((spec) => ({ ...spec, ...serverOnly })),
  ...SCRAPE_AND_QUERY_FLAGS,
  ...REMOTE_AND_RULE_FLAGS,
  ...AGENT_FLAGS,
  ...GENERAL_FLAGS,
];

/** Values of --enable-feature: those the engine or the scraper takes, and those that do nothing yet. */
export const FEATURES = {
  engine: [
    'created-timestamp-zero-ingestion',
    'delayed-compaction',
    'exemplar-storage',
    'histograms-st-encoding',
    'memory-snapshot-on-shutdown',
    'metadata-wal-records',
    'otlp-deltatocumulative',
    'otlp-native-delta-ingestion',
    'promql-experimental-functions',
    'promql-delayed-name-removal',
    'promql-binop-fill-modifiers',
    'promql-per-step-stats',
    'promql-unquoted-utf8-names',
    'query-cost',
    'st-storage',
    'st-synthesis',
    'type-and-unit-labels',
    'use-start-timestamps',
    'xor2-encoding',
    'zstd-scrape',
  ],
  scrape: ['extra-scrape-metrics'],
  inert: ['concurrent-rule-eval', 'fast-startup', 'old-ui', 'openmetrics2', 'search-api', 'use-uncached-io'],
} as const;
