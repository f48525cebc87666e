/** One running server: starts its parts in order, reloads them, and brings them down again. */

import type { FastifyInstance } from 'fastify';
import type { ApiContext, ApiOptions, Readiness, RuntimeInfo } from '../api/index.ts';
import { configToYaml, type LoadResult } from '../config/index.ts';
import { type Engine, open, type ReplayProgress } from '../core/index.ts';
import { messageOf, sleep } from '../util/index.ts';
import { watchConfig } from './auto-reload.ts';
import { readConfig, sourceName } from './config-source.ts';
import { forwardLogs } from './core-log.ts';
import { HEADER_BYTES_MAX, Listener } from './listener.ts';
import { ServerMetrics } from './metrics.ts';
import type { ServerOptions } from './options.ts';
import { otlpSettings } from './otlp-settings.ts';
import { queryCeilings, querySettings } from './query-settings.ts';
import { Reading } from './reading.ts';
import { runtimeInfo } from './runtime-info.ts';
import { Scraping } from './scraping.ts';
import { Sending } from './sending.ts';
import { blockDurations, fillStorage, logRetention, showRetention, storageSettings } from './storage-settings.ts';
import { buildInfo, narthexVersion } from './version.ts';
import { corsPattern, externalUrl, routePrefix } from './web-address.ts';

/** Requests under way get so long to end once the server is to stop. */
const REQUEST_GRACE_MS = 1000;
/** The whole way down, but for what is sent on. What is acknowledged is in the log by then, so nothing is lost beyond it. */
const STOP_LIMIT_MS = 4500;

export class Server {
  readonly #options: ServerOptions;
  readonly #metrics = new ServerMetrics();
  readonly #scraping: Scraping;
  readonly #sending: Sending;
  readonly #reading: Reading;
  readonly #startMs: number;
  readonly #flagLevel: string;
  #config: LoadResult;
  #readiness: Readiness = 'starting';
  #replay: ReplayProgress = { min: 0, max: 0, current: 0 };
  #engine: Engine | undefined;
  #listener: Listener | undefined;
  #stopForwarding: () => void = () => undefined;
  #stopWatching: () => void = () => undefined;
  #opening: Promise<void> = Promise.resolve();
  #reloading: Promise<void> = Promise.resolve();
  #stopping: Promise<boolean> | undefined;

  private constructor(options: ServerOptions, config: LoadResult) {
    this.#options = options;
    this.#config = config;
    this.#startMs = options.clock.nowMs();
    this.#flagLevel = options.logger.level;
    this.#scraping = new Scraping(options);
    this.#sending = new Sending(options, () => this.#scraping.metadata());
    this.#reading = new Reading(options);
    this.#metrics.addSource(() => [
      ...this.#scraping.metrics(),
      ...this.#sending.metrics(),
      ...this.#reading.metrics(),
    ]);
    this.#noteReload(true);
    this.#setLogLevel(config);
  }

  /**
   * Reads the configuration and binds the addresses; the log is replayed afterwards, see `ready`.
   * Throws `ConfigError`, `ListenError` or `OptionError`.
   */
  static async start(options: ServerOptions): Promise<Server> {
    const config = await readConfig(options.config, options.agent !== undefined);
    fillStorage(config.config, options.storage, options.features);
    const server = new Server(options, config);
    const mode = options.agent ? 'agent' : 'server';
    options.logger.info(
      { mode, version: narthexVersion() },
      options.agent ? 'Starting Narthex Agent' : 'Starting Narthex Server',
    );
    server.#warn(config);
    try {
      const serve = await server.#listen();
      // The core replays the log while the modules that answer requests are loaded.
      server.#opening = server.#open();
      // Whoever waits for `ready` hears of a failure; it must not end the process of one who does not.
      server.#opening.catch(() => undefined);
      await serve();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** Settles once the server is ready; rejects where the database cannot be opened. */
  get ready(): Promise<void> {
    return this.#opening;
  }

  /** The addresses in use, as `host:port`. */
  get addresses(): string[] {
    return this.#listener?.addresses() ?? [];
  }

  /** Reads the configuration again. A bad one changes nothing, and rejects with what is wrong. */
  reload(): Promise<void> {
    const reloaded = this.#reloading.then(async () => {
      await this.#opening;
      await this.#reload();
    });
    this.#reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  /** Brings everything down; false where that took too long and was given up. */
  stop(): Promise<boolean> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Binds the addresses; what is returned makes the routes, for which requests wait till then. */
  async #listen(): Promise<() => Promise<void>> {
    const { web, clock, logger } = this.#options;
    let deliver: (app: FastifyInstance) => void = () => undefined;
    const app = new Promise<FastifyInstance>((resolve) => {
      deliver = resolve;
    });
    const listener = await Listener.open(
      {
        addresses: web.listenAddresses,
        readTimeoutMs: web.readTimeoutMs,
        maxConnections: web.maxConnections,
        clock,
      },
      (request, response) => {
        app
          .then((routed) => routed.routing(request, response))
          .catch((error: unknown) => response.destroy(error as Error));
      },
    );
    this.#listener = listener;
    for (const address of this.addresses) logger.info({ component: 'web', address }, 'Start listening for connections');
    const context = this.#apiContext(listener);
    return async () => {
      const { createApp } = await import('../api/index.ts');
      deliver(await createApp(context));
      // Scraping begins when the log has been replayed; by then this is loaded.
      await import('../scrape/index.ts');
    };
  }

  async #open(): Promise<void> {
    const { storage, agent, query, features, clock, logger } = this.#options;
    const started = clock.monotonicMs();
    const settings = storageSettings(this.#config.config);
    this.#engine = await open(
      {
        ...storage,
        ...query,
        ...settings,
        ...(agent ? { agent } : { ...querySettings(this.#config.config), trackQueries: true }),
        ...blockDurations(storage, settings),
        defaultSubqueryStepMs: this.#config.config.global.evaluation_interval,
        features,
      },
      (progress) => {
        this.#replay = progress;
      },
    );
    this.#engine.applyOtlp(otlpSettings(this.#config.config));
    this.#stopForwarding = forwardLogs(this.#engine, clock, logger);
    if (!agent) logRetention(logger, settings, undefined);
    const duration = `${Math.round(clock.monotonicMs() - started)}ms`;
    logger.info({ dir: storage.dir, duration }, agent ? 'Agent WAL storage started' : 'TSDB started');
    if (this.#stopping !== undefined) return;
    await this.#reading.apply(this.#config);
    await this.#sending.start(this.#engine, this.#config);
    await this.#scraping.start(this.#engine, this.#config);
    await this.#watch();
    if (this.#stopping !== undefined) return;
    this.#setReadiness('ready');
    this.#scraping.prepare();
    logger.info({}, 'Server is ready to receive web requests.');
  }

  async #watch(): Promise<void> {
    const { config: source, autoReloadMs, clock } = this.#options;
    if (autoReloadMs === 0 || !('file' in source)) return;
    this.#stopWatching = await watchConfig({
      clock,
      intervalMs: autoReloadMs,
      file: source.file,
      includes: () => this.#config.config.scrape_config_files,
      onChange: () => this.reload(),
    });
  }

  async #reload(): Promise<void> {
    const { config: source, agent, clock, logger } = this.#options;
    const filename = sourceName(source);
    const started = clock.monotonicMs();
    logger.info({ filename }, 'Loading configuration file');
    try {
      const config = await readConfig(source, agent !== undefined);
      fillStorage(config.config, this.#options.storage, this.#options.features);
      this.#warn(config);
      this.#warnFixed(config);
      await this.#apply(config);
      this.#config = config;
      this.#setLogLevel(config);
      this.#noteReload(true);
      const totalDuration = `${Math.round(clock.monotonicMs() - started)}ms`;
      logger.info({ filename, totalDuration }, 'Completed loading of configuration file');
    } catch (cause) {
      this.#noteReload(false);
      const message = `couldn't load configuration (--config.file=${JSON.stringify(filename)}): ${messageOf(cause)}`;
      logger.error({ err: message }, 'Error reloading config');
      throw new Error(message, { cause });
    }
  }

  /** Both parts take a configuration over, or none. */
  async #apply(next: LoadResult): Promise<void> {
    const before = storageSettings(this.#config.config);
    const settings = storageSettings(next.config);
    await this.#engine?.applyStorage(settings);
    try {
      this.#applyQueries(next);
      await this.#reading.apply(next);
      await this.#scraping.reload(next);
      this.#engine?.applyOtlp(otlpSettings(next.config));
      await this.#sending.reload(next);
    } catch (error) {
      this.#applyQueries(this.#config);
      await this.#reading.apply(this.#config);
      await this.#engine?.applyStorage(before);
      throw error;
    }
    if (!this.#options.agent) logRetention(this.#options.logger, settings, before);
  }

  /** An agent has no queries to set anything for. */
  #applyQueries({ config }: LoadResult): void {
    if (!this.#options.agent) this.#engine?.applyQueries(querySettings(config));
  }

  async #stop(): Promise<boolean> {
    const { clock, logger } = this.#options;
    this.#setReadiness('stopping');
    const limitMs = STOP_LIMIT_MS + this.#sending.stopLimitMs;
    const done = new AbortController();
    const down = this.#bringDown()
      .catch((error: unknown) => logger.error({ err: messageOf(error) }, 'Error while stopping'))
      .finally(() => done.abort());
    const tookTooLong = await sleep(clock, limitMs, done.signal);
    if (tookTooLong) logger.error({ limit: `${limitMs}ms` }, 'Stopping took too long; what is acknowledged is on disk');
    else await down;
    return !tookTooLong;
  }

  async #bringDown(): Promise<void> {
    const { logger } = this.#options;
    await Promise.all([this.#scraping.stop(), this.#listener?.close(REQUEST_GRACE_MS)]);
    logger.info({}, 'Scraping and listening stopped');
    await this.#opening.catch(() => undefined);
    this.#stopWatching();
    await this.#sending.stop();
    this.#reading.stop();
    this.#stopForwarding();
    this.#metrics.stop();
    if (this.#engine === undefined) return;
    await this.#engine.close();
    logger.info({}, this.#options.agent ? 'Agent WAL storage stopped' : 'TSDB closed');
  }

  #setReadiness(readiness: Readiness): void {
    this.#readiness = readiness;
    this.#metrics.ready.set(readiness === 'ready' ? 1 : 0);
  }

  #noteReload(successful: boolean): void {
    this.#metrics.reloadSuccessful.set(successful ? 1 : 0);
    if (successful) this.#metrics.reloadSuccessTime.set(this.#options.clock.nowMs() / 1000);
  }

  /** The file's level, where it asks for another one than the default, else the flag's. */
  #setLogLevel({ config }: LoadResult): void {
    const { log_level: level } = config.runtime;
    this.#options.logger.level = level === 'info' || level === '' ? this.#flagLevel : level;
  }

  /** The engine keeps what it was opened with. */
  #warnFixed(next: LoadResult): void {
    if (next.config.global.evaluation_interval !== this.#config.config.global.evaluation_interval) {
      this.#options.logger.warn({}, 'Subqueries without a step keep the evaluation_interval of the start');
    }
  }

  #warn({ warnings }: LoadResult): void {
    for (const { message, ...place } of warnings) this.#options.logger.warn(place, message);
  }

  #apiOptions(listener: Listener): ApiOptions {
    const { web } = this.#options;
    const listenAddress = listener.addresses()[0] ?? '';
    const external = externalUrl(web.externalUrl, listenAddress);
    return {
      headerBytesMax: HEADER_BYTES_MAX,
      routePrefix: routePrefix(web.routePrefix, external),
      externalUrl: external,
      listenAddress,
      corsOrigin: corsPattern(web.corsOrigin),
      enableLifecycle: web.enableLifecycle,
      enableAdminApi: web.enableAdminApi,
      enableRemoteWriteReceiver: web.enableRemoteWriteReceiver,
      remoteWriteMessages: web.remoteWriteMessages,
      enableOtlpReceiver: web.enableOtlpReceiver,
      remoteRead: web.remoteRead,
      pageTitle: web.pageTitle,
      isAgent: this.#options.agent !== undefined,
    };
  }

  #apiContext(listener: Listener): ApiContext {
    const { clock, logger, flags, features, query } = this.#options;
    const metrics = this.#metrics;
    return {
      options: this.#apiOptions(listener),
      flags,
      buildInfo: buildInfo(),
      targets: this.#scraping,
      clock,
      readiness: () => this.#readiness,
      engine: () => this.#engine,
      walReplay: () => this.#replay,
      configYaml: () => configToYaml(this.#config.config),
      externalLabels: () => this.#config.config.global.external_labels,
      remoteReader: () => this.#reading.reader(),
      scrapeIntervalMs: () => this.#config.config.global.scrape_interval,
      queryCeilings: () => queryCeilings(this.#config.config, features, query.queryTimeoutMs ?? 0),
      runtimeInfo: () => this.#runtimeInfo(),
      metricsText: async () => metrics.text(await this.#coreMetrics()),
      reload: () => this.reload(),
      quit: () => this.#quit(),
      addMetrics: (source) => metrics.addSource(source),
      onRoute: (handler) => metrics.addHandler(handler),
      onAnswer: (record) => metrics.onAnswer(record),
      onInternalError: (error, request) => logger.error({ ...request, err: error.message }, 'Request failed'),
    };
  }

  /** '' before the database is open, and once it is closing. */
  async #coreMetrics(): Promise<string> {
    const text = await this.#engine?.metricsText().catch((error: unknown) => {
      if (this.#stopping === undefined) throw error;
    });
    return text ?? '';
  }

  async #runtimeInfo(): Promise<RuntimeInfo> {
    return runtimeInfo({
      startMs: this.#startMs,
      nowMs: this.#options.clock.nowMs(),
      reloadSuccessful: this.#metrics.reloadSuccessful.value() === 1,
      lastConfigMs: this.#metrics.reloadSuccessTime.value() * 1000,
      corruptions: walCorruptions(await this.#coreMetrics()),
      storageRetention: showRetention(storageSettings(this.#config.config)),
    });
  }

  #quit(): boolean {
    if (this.#stopping !== undefined) return false;
    this.#options.onQuit();
    return true;
  }
}

function walCorruptions(metrics: string): number {
  const match = /^prometheus_(?:tsdb_wal|agent)_corruptions_total (\S+)$/m.exec(metrics);
  return Number(match?.[1] ?? 0);
}
