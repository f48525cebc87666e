/** From flags to a running server, to its end. */

import { once } from 'node:events';
import { resolve } from 'node:path';
import { inspect } from 'node:util';
import { ConfigError } from '../config/index.ts';
import { type AgentSettings, EngineError, type EngineFeature } from '../core/index.ts';
import {
  type ConfigSource,
  createLogger,
  type LeveledLogger,
  ListenError,
  type LogFormat,
  type LogLevel,
  OptionError,
  Server,
  type ServerOptions,
} from '../server/index.ts';
import { type Logger, messageOf, quote, systemClock } from '../util/index.ts';
import type { FlagValues } from './flag-parser.ts';
import { FEATURES, SERVER_FLAGS } from './server-flags.ts';

/** What a command puts in the place of flags that were not given. */
export interface StartOptions {
  listenAddress?: string;
  storagePath?: string;
  /** The configuration for a server at `address`. */
  embeddedConfig?: (address: string) => string;
  /** Printed on standard output once the server is ready. */
  greeting?: (facts: { url: string; dataDir: string; config: string }) => string;
}

/** The data directory that is none. */
const IN_MEMORY = ':memory:';

const MIB = 1024 * 1024;

/** Looking more often than this gains nothing; the same bound as Prometheus'. */
const MIN_AUTO_RELOAD_MS = 1000;

/** Runs a server until a signal or a client ends it; returns the exit code. */
export async function runServer(flags: FlagValues, defaults: StartOptions): Promise<number> {
  const logger = createLogger(flags.text('log.format') as LogFormat, flags.text('log.level') as LogLevel);
  const quit = new AbortController();
  const misused = misusedFlags(flags);
  if (misused !== undefined) {
    process.stderr.write(`${misused.text}\n`);
    return misused.exitCode;
  }
  warnInert(flags, logger);
  let options: ServerOptions | undefined;
  try {
    refuseWithoutProtection(flags);
    options = serverOptions(flags, defaults, logger, () =>
      quit.abort('Received termination request via web service, exiting gracefully...'),
    );
    const server = await Server.start(options);
    return await serve(server, options, defaults, quit);
  } catch (error) {
    return reportFailure(error, options, logger);
  }
}

async function serve(
  server: Server,
  options: ServerOptions,
  defaults: StartOptions,
  quit: AbortController,
): Promise<number> {
  const { logger } = options;
  const onHangup = () => {
    // The server has logged what is wrong.
    server.reload().catch(() => undefined);
  };
  const onSignal = (signal: NodeJS.Signals) => {
    quit.abort(`Received an OS signal, exiting gracefully... (${signal})`);
  };
  // The data is the core's; a fault in answering one request is no reason to stop scraping.
  const onFault = (error: unknown) => logger.error({ err: inspect(error) }, 'Unexpected error');
  process.on('SIGHUP', onHangup).on('SIGTERM', onSignal).on('SIGINT', onSignal);
  process.on('uncaughtException', onFault).on('unhandledRejection', onFault);
  const ended = quit.signal.aborted ? Promise.resolve() : once(quit.signal, 'abort');
  try {
    await Promise.race([server.ready, ended]);
    if (!quit.signal.aborted) greet(server, options, defaults);
    await ended;
    logger.warn({}, String(quit.signal.reason));
  } finally {
    const isDown = await server.stop();
    process.off('SIGHUP', onHangup).off('SIGTERM', onSignal).off('SIGINT', onSignal);
    process.off('uncaughtException', onFault).off('unhandledRejection', onFault);
    if (!isDown) process.exit(0);
  }
  logger.info({}, 'See you next time!');
  return 0;
}

function greet(server: Server, options: ServerOptions, defaults: StartOptions): void {
  const { config, storage } = options;
  const text = defaults.greeting?.({
    url: `http://${server.addresses[0] ?? ''}`,
    dataDir: storage.dir === IN_MEMORY ? 'in memory only' : resolve(storage.dir),
    config: 'file' in config ? resolve(config.file) : config.name,
  });
  if (text !== undefined) process.stdout.write(text);
}

function reportFailure(error: unknown, options: ServerOptions | undefined, logger: Logger): number {
  if (error instanceof ConfigError && options !== undefined) {
    const name = 'file' in options.config ? options.config.file : options.config.name;
    process.stderr.write(`${error.message}\n`);
    logger.error({ file: resolve(name) }, `Error loading config (--config.file=${name})`);
    return 1;
  }
  if (error instanceof ListenError || error instanceof OptionError || error instanceof EngineError) {
    logger.error({ code: error.code }, error.message);
    return 1;
  }
  logger.error({ err: messageOf(error) }, 'The server failed');
  throw error;
}

function serverOptions(
  flags: FlagValues,
  defaults: StartOptions,
  logger: LeveledLogger,
  onQuit: () => void,
): ServerOptions {
  const listenAddresses =
    defaults.listenAddress !== undefined && !flags.given.has('web.listen-address')
      ? [defaults.listenAddress]
      : flags.list('web.listen-address');
  const features = featureList(flags, logger);
  return {
    config: configSource(flags, defaults, listenAddresses[0] ?? ''),
    autoReloadMs: flags.bool('config.auto-reload')
      ? Math.max(MIN_AUTO_RELOAD_MS, flags.number('config.auto-reload-interval'))
      : 0,
    storage: flags.bool('agent') ? agentStorage(flags) : storageOptions(flags, defaults),
    ...(flags.bool('agent') ? { agent: agentSettings(flags) } : {}),
    query: {
      lookbackDeltaMs: flags.number('query.lookback-delta'),
      queryTimeoutMs: flags.number('query.timeout'),
      queryMaxConcurrency: flags.number('query.max-concurrency'),
      queryMaxMemoryBytes: flags.number('query.max-memory-bytes'),
      queryMaxSamples: flags.number('query.max-samples'),
    },
    web: {
      listenAddresses,
      externalUrl: flags.text('web.external-url'),
      routePrefix: flags.text('web.route-prefix'),
      readTimeoutMs: flags.number('web.read-timeout'),
      maxConnections: flags.number('web.max-connections'),
      corsOrigin: flags.text('web.cors.origin'),
      pageTitle: flags.text('web.page-title'),
      enableLifecycle: flags.bool('web.enable-lifecycle'),
      enableAdminApi: flags.bool('web.enable-admin-api'),
      enableRemoteWriteReceiver: flags.bool('web.enable-remote-write-receiver'),
      remoteWriteMessages: remoteWriteMessages(flags),
      enableOtlpReceiver: flags.bool('web.enable-otlp-receiver'),
      remoteRead: {
        sampleLimit: flags.number('storage.remote.read-sample-limit'),
        concurrentLimit: flags.number('storage.remote.read-concurrent-limit'),
        maxBytesInFrame: flags.number('storage.remote.read-max-bytes-in-frame'),
      },
    },
    features: features.filter((name): name is EngineFeature => (FEATURES.engine as readonly string[]).includes(name)),
    extraScrapeMetrics: features.includes('extra-scrape-metrics'),
    remoteFlushDeadlineMs: flags.number('storage.remote.flush-deadline'),
    flags: { ...flags.shown(), 'web.listen-address': listenAddresses.join(',') },
    logger,
    clock: systemClock,
    onQuit,
  };
}

function configSource(flags: FlagValues, defaults: StartOptions, address: string): ConfigSource {
  if (defaults.embeddedConfig === undefined || flags.given.has('config.file')) {
    return { file: flags.text('config.file') };
  }
  return { name: 'the embedded default', text: defaults.embeddedConfig(reachable(address)) };
}

/** An address to connect to for one that is listened on. */
function reachable(address: string): string {
  return address.replace(/^(0\.0\.0\.0|\[::\])?:/, 'localhost:');
}

function storageOptions(flags: FlagValues, defaults: StartOptions): ServerOptions['storage'] {
  const walSegmentBytes = flags.number('storage.tsdb.wal-segment-size');
  if (walSegmentBytes !== 0 && (walSegmentBytes < 10 * MIB || walSegmentBytes > 256 * MIB)) {
    throw new OptionError("flag 'storage.tsdb.wal-segment-size' must be set between 10MB and 256MB");
  }
  const chunkSegmentBytes = flags.number('storage.tsdb.max-block-chunk-segment-size');
  if (chunkSegmentBytes !== 0 && chunkSegmentBytes < MIB) {
    throw new OptionError("flag 'storage.tsdb.max-block-chunk-segment-size' must be set over 1MB");
  }
  const delayCompactFile = flags.text('storage.tsdb.delay-compact-file.path');
  const compression = flags.text('storage.tsdb.wal-compression-type') as 'snappy' | 'zstd';
  return {
    dir: flags.given.has('storage.tsdb.path')
      ? flags.text('storage.tsdb.path')
      : (defaults.storagePath ?? flags.text('storage.tsdb.path')),
    minBlockDurationMs: flags.number('storage.tsdb.min-block-duration'),
    maxBlockDurationMs: flags.number('storage.tsdb.max-block-duration'),
    allowOverlappingCompaction: flags.bool('storage.tsdb.allow-overlapping-compaction'),
    retentionMs: flags.number('storage.tsdb.retention.time'),
    retentionBytes: flags.number('storage.tsdb.retention.size'),
    walCompression: flags.bool('storage.tsdb.wal-compression') ? compression : 'none',
    noLockfile: flags.bool('storage.tsdb.no-lockfile'),
    ...(walSegmentBytes > 0 ? { walSegmentBytes } : {}),
    walHeldBytesMax: flags.number('storage.remote.wal-held-size'),
    samplesPerChunk: Math.max(flags.number('storage.tsdb.samples-per-chunk'), 0),
    ...(chunkSegmentBytes > 0 ? { maxBlockChunkSegmentBytes: chunkSegmentBytes } : {}),
    // Looking more often gains nothing; the same bound as Prometheus'.
    blockReloadIntervalMs: Math.max(flags.number('storage.tsdb.block-reload-interval'), 1000),
    delayedCompactionMaxPercent: flags.number('storage.tsdb.delayed-compaction.max-percent'),
    ...(delayCompactFile === '' ? {} : { delayCompactFile }),
  };
}

function agentStorage(flags: FlagValues): ServerOptions['storage'] {
  const walSegmentBytes = flags.number('storage.agent.wal-segment-size');
  if (walSegmentBytes !== 0 && (walSegmentBytes < 10 * MIB || walSegmentBytes > 256 * MIB)) {
    throw new OptionError("flag 'storage.agent.wal-segment-size' must be set between 10MB and 256MB");
  }
  const compression = flags.text('storage.agent.wal-compression-type') as 'snappy' | 'zstd';
  return {
    dir: flags.text('storage.agent.path'),
    walCompression: flags.bool('storage.agent.wal-compression') ? compression : 'none',
    noLockfile: flags.bool('storage.agent.no-lockfile'),
    ...(walSegmentBytes > 0 ? { walSegmentBytes } : {}),
  };
}

function agentSettings(flags: FlagValues): AgentSettings {
  return {
    truncateFrequencyMs: flags.number('storage.agent.wal-truncate-frequency'),
    minWalMs: flags.number('storage.agent.retention.min-time'),
    maxWalMs: flags.number('storage.agent.retention.max-time'),
    checkpointFromMemory: flags.bool('storage.agent.checkpoint-from-in-memory-series'),
    checkpointBatch: flags.number('storage.agent.checkpoint-batch-size'),
  };
}

/** Flags that the mode has no use for, in Prometheus' words and with its exit codes. */
function misusedFlags(flags: FlagValues): { text: string; exitCode: number } | undefined {
  const isAgent = flags.bool('agent');
  const other = isAgent ? 'server' : 'agent';
  const modes = new Map(SERVER_FLAGS.map(({ name, mode }) => [name, mode]));
  const misused = [...flags.given].filter((name) => modes.get(name) === other).map((name) => quote(`--${name}`));
  if (misused.length > 0) {
    const rule = isAgent ? 'can not be used in agent mode' : 'can only be used in agent mode';
    return { text: `The following flag(s) ${rule}: [${misused.join(' ')}]`, exitCode: 3 };
  }
  if (isAgent && flags.number('storage.agent.checkpoint-batch-size') <= 0) {
    return { text: '--storage.agent.checkpoint-batch-size must be greater than 0.', exitCode: 1 };
  }
  return undefined;
}

function featureList(flags: FlagValues, logger: Logger): string[] {
  const names = flags
    .list('enable-feature')
    .flatMap((text) => text.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.includes('otlp-deltatocumulative') && names.includes('otlp-native-delta-ingestion')) {
    throw new OptionError(
      'cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion features at the same time',
    );
  }
  for (const option of names) {
    if (option === 'xor2-encoding') {
      const message =
        'This feature only makes xor2 the default of storage.tsdb.chunk_encoding.floats: set that instead';
      logger.warn({ option }, message);
    } else if ((FEATURES.inert as readonly string[]).includes(option))
      logger.warn({ option }, 'This feature has no effect yet');
    else if (!([...FEATURES.engine, ...FEATURES.scrape] as string[]).includes(option)) {
      logger.warn({ option }, 'Unknown option for --enable-feature');
    }
  }
  return names;
}

const REMOTE_WRITE_MESSAGES = ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'];

function remoteWriteMessages(flags: FlagValues): string[] {
  const name = 'web.remote-write-receiver.accepted-protobuf-messages';
  const messages = flags
    .list(name)
    .flatMap((text) => text.split(','))
    .map((text) => text.trim());
  for (const message of messages) {
    if (!REMOTE_WRITE_MESSAGES.includes(message)) {
      throw new OptionError(
        `--${name}: unknown type for remote write protobuf message ${message}, supported: ${REMOTE_WRITE_MESSAGES.join(', ')}`,
      );
    }
  }
  return messages;
}

/** Serving openly what its operator meant to protect is worse than not serving. */
function refuseWithoutProtection(flags: FlagValues): void {
  const file = flags.text('web.config.file');
  if (file === '') return;
  throw new OptionError(
    `--web.config.file=${file}: TLS and authentication are not part of this version of Narthex; serve without the flag, behind a proxy that has them`,
  );
}

function warnInert(flags: FlagValues, logger: Logger): void {
  for (const spec of SERVER_FLAGS) {
    if (spec.inert === true && flags.given.has(spec.name)) {
      logger.warn({ flag: `--${spec.name}` }, 'This flag is accepted but has no effect yet');
    }
  }
}
