/**
 * One queue of remote write: asks the core for requests, has each shard post one at a time, tries again what may yet
 * succeed, and tells the core what is done with.
 */

import type { RemoteWriteConfig } from '../config/index.ts';
import type { MetricMetadata, SendBatch, SendBody, SendCounts, Sender, SenderReport } from '../core/index.ts';
import { type Clock, type Logger, messageOf, sleep } from '../util/index.ts';
import { untilDone } from './backoff.ts';
import { MetadataWatcher } from './metadata-watcher.ts';
import { KINDS, QueueMetrics } from './queue-metrics.ts';
import { desiredShards, EwmaRate, SHARD_UPDATE_MS } from './shard-count.ts';
import { type PostResult, V2, type WriteClient } from './write-client.ts';

/** How often the log is looked at while nothing comes. */
const POLL_MS = 100;
/** After the core could not answer. */
const ERROR_PAUSE_MS = 5000;

const METADATA_IGNORED =
  "'metadata_config.send' is ignored when using Remote Write 2.0; metadata is sent when --enable-feature=metadata-wal-records or --enable-feature=type-and-unit-labels is enabled";

/** Where metadata for receivers of 1.0 come from. */
export interface MetadataSource {
  /** What each active target says of its metric families. */
  targets: () => Iterable<readonly MetricMetadata[]>;
  /** The body of a request that has nothing else. */
  body: (metadata: MetricMetadata[]) => Promise<Uint8Array>;
}

export interface WriteQueueOptions {
  name: string;
  /** Without a password. */
  url: string;
  config: RemoteWriteConfig;
  sender: Sender;
  client: WriteClient;
  clock: Clock;
  logger: Logger;
  metadata: MetadataSource;
}

export class WriteQueue {
  readonly metrics: QueueMetrics;
  readonly #options: WriteQueueOptions;
  readonly #isV2: boolean;
  readonly #fields: { component: string; remote_name: string; url: string };
  readonly #busy = new Map<number, Promise<void>>();
  readonly #rates = { in: new EwmaRate(), out: new EwmaRate(), dropped: new EwmaRate(), sending: new EwmaRate() };
  readonly #giveUp = new AbortController();
  readonly #metadata: MetadataWatcher | undefined;
  #finished: number[] = [];
  #shards: number;
  #wantedShards: number;
  #wake: () => void = () => undefined;
  #isFlushing = false;
  #isClosed = false;
  #last: SenderReport | undefined;
  #highestSentMs = 0;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #noReshardUntilMs = Number.NEGATIVE_INFINITY;
  #failing = false;
  #running: Promise<void> = Promise.resolve();
  #cancelUpdate: () => void = () => undefined;

  constructor(options: WriteQueueOptions) {
    this.#options = options;
    const { name, url, config } = options;
    this.#isV2 = config.protobuf_message === V2;
    this.#fields = { component: 'remote', remote_name: name, url };
    this.#shards = config.queue_config.min_shards;
    this.#wantedShards = this.#shards;
    const { capacity, max_shards, min_shards, max_samples_per_send } = config.queue_config;
    this.metrics = new QueueMetrics(name, url, !this.#isV2);
    this.metrics.shardCapacity.set(capacity);
    this.metrics.shardsMax.set(max_shards);
    this.metrics.shardsMin.set(min_shards);
    this.metrics.shardsDesired.set(min_shards);
    this.metrics.shards.set(min_shards);
    this.metrics.maxSamplesPerSend.set(max_samples_per_send);
    this.#metadata = this.#watchMetadata();
  }

  start(): void {
    this.#running = this.#run();
    this.#metadata?.start();
    const update = (): void => {
      this.#thinkShardsOver();
      this.#cancelUpdate = this.#options.clock.setTimer(SHARD_UPDATE_MS, update);
    };
    this.#cancelUpdate = this.#options.clock.setTimer(SHARD_UPDATE_MS, update);
  }

  /**
   * Sends what there is, for `deadlineMs` at most and not while the other side fails: what is left is sent by whoever
   * opens the queue next.
   */
  async stop(deadlineMs: number): Promise<void> {
    const { clock, logger, sender, client } = this.#options;
    logger.info(this.#fields, 'Stopping remote storage...');
    this.#cancelUpdate();
    this.#isFlushing = true;
    this.#wake();
    const cancelDeadline = clock.setTimer(this.#failing ? 0 : deadlineMs, () => this.#giveUp.abort());
    await Promise.all([this.#running, this.#metadata?.stop(this.#failing ? 0 : deadlineMs)]);
    cancelDeadline();
    await sender.close(this.#finished.splice(0)).catch((error: unknown) => {
      logger.error({ ...this.#fields, err: messageOf(error) }, 'The place in the WAL was not remembered');
    });
    client.close();
    const left = this.#last === undefined || this.#last.isIdle ? 0 : total(this.#last.pending);
    if (left > 0)
      logger.warn({ ...this.#fields, pending: left }, 'Not everything was sent; the rest follows after the next start');
    logger.info(this.#fields, 'Remote storage stopped.');
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const report = await this.#poll();
      if (report === undefined) await this.#pause(ERROR_PAUSE_MS);
      else if (this.#isFlushing && report.isIdle) break;
      else if (report.batches.length === 0 && !report.more) await this.#pause(POLL_MS);
      if (this.#giveUp.signal.aborted) break;
    }
    await Promise.all(this.#busy.values());
  }

  async #poll(): Promise<SenderReport | undefined> {
    const { sender, logger } = this.#options;
    const finished = this.#finished.splice(0);
    // A change of the number waits until nothing is under way.
    const changes = this.#wantedShards !== this.#shards;
    if (changes && this.#busy.size === 0) this.#shards = this.#wantedShards;
    const all = Array.from({ length: this.#shards }, (_, shard) => shard);
    const free = changes && this.#busy.size > 0 ? [] : all.filter((shard) => !this.#busy.has(shard));
    try {
      const report = await sender.poll({ shards: this.#shards, free, finished, flush: this.#isFlushing });
      this.#note(report);
      for (const batch of report.batches) this.#begin(batch);
      return report;
    } catch (error) {
      this.#finished.unshift(...finished);
      logger.error({ ...this.#fields, err: messageOf(error) }, 'The core gave no requests');
      return undefined;
    }
  }

  #pause(ms: number): Promise<unknown> {
    const waking = new AbortController();
    this.#wake = () => waking.abort();
    return sleep(this.#options.clock, ms, waking.signal);
  }

  #begin(batch: SendBatch): void {
    const sending = this.#send(batch)
      .then((isDone) => {
        if (isDone) this.#finished.push(batch.id);
      })
      .catch((error: unknown) => {
        this.#options.logger.error({ ...this.#fields, err: messageOf(error) }, 'Sending failed');
      })
      .finally(() => {
        this.#busy.delete(batch.shard);
        this.#wake();
      });
    this.#busy.set(batch.shard, sending);
  }

  /** Posts a request until it is done with; false where that was given up. */
  async #send(batch: SendBatch): Promise<boolean> {
    const { clock, config, sender } = this.#options;
    const { sample_age_limit } = config.queue_config;
    const { metrics } = this;
    const sentBytes = batch.body.bytes.byteLength;
    let { body } = batch;
    const begun = clock.monotonicMs();
    const result = await this.#untilDone(this.#giveUp.signal, {
      attempt: async (n) => {
        if (n > 0 && sample_age_limit > 0 && body.lowestMs < clock.nowMs() - sample_age_limit) {
          body = await sender.rebuild(batch.id);
          if (total(body.counts) === 0) return NOTHING_LEFT;
        }
        for (const kind of KINDS) metrics.sent[kind].inc(body.counts[kind]);
        const result = await this.#post(body.bytes, n, this.#giveUp.signal);
        const checked = result && this.#isV2 ? checkWritten(result, body.counts) : result;
        if (checked !== undefined && checked.kind !== 'sent') await this.#showRequest(batch, checked.text);
        return checked;
      },
      onRetry: () => {
        for (const kind of KINDS) metrics.retried[kind].inc(body.counts[kind]);
      },
    });
    if (result === undefined) return false;
    if (result === NOTHING_LEFT) return true;
    this.#settle(body, result, batch.isRepeated);
    metrics.bytes.inc(sentBytes);
    this.#rates.out.add(total(body.counts));
    this.#rates.sending.add((clock.monotonicMs() - begun) / 1000);
    this.#lastSentMs = clock.monotonicMs();
    return true;
  }

  /** One try; `undefined` where it was given up. */
  async #post(bytes: Uint8Array, attempt: number, signal: AbortSignal): Promise<PostResult | undefined> {
    const { clock, client } = this.#options;
    const startedMs = clock.monotonicMs();
    try {
      return await client.post(bytes, attempt, signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    } finally {
      if (!signal.aborted) this.metrics.observeSend((clock.monotonicMs() - startedMs) / 1000);
    }
  }

  async #untilDone(
    signal: AbortSignal,
    { attempt, onRetry }: { attempt: (n: number) => Promise<PostResult | undefined>; onRetry: () => void },
  ): Promise<PostResult | undefined> {
    const { clock, config, logger } = this.#options;
    const result = await untilDone({
      config: config.queue_config,
      clock,
      signal,
      attempt,
      onRetry,
      onFailure: ({ text, retryAfterMs }, waitMs, n) => {
        this.#failing = true;
        this.#noReshardUntilMs = Math.max(this.#noReshardUntilMs, clock.monotonicMs() + 2 * waitMs);
        const wait = `${Math.round(waitMs)}ms`;
        if (retryAfterMs > 0) {
          logger.info({ ...this.#fields, duration: wait }, 'Retrying after duration specified by Retry-After header');
        }
        logger.warn({ ...this.#fields, err: text, wait, attempt: n }, 'Failed to send batch, retrying');
        if (this.#isFlushing && signal === this.#giveUp.signal) this.#giveUp.abort();
      },
    });
    if (result !== undefined) this.#failing = false;
    return result;
  }

  /** With `failed_request_logging` what could not be sent is told, of 2.0, at the level of debugging. */
  async #showRequest(batch: SendBatch, err: string): Promise<void> {
    const { config, logger, sender } = this.#options;
    if (!config.failed_request_logging || !this.#isV2 || !isDebugging(logger)) return;
    const req = await sender.describe(batch.id);
    logger.debug({ ...this.#fields, req, err }, 'Failed to send remote write v2 request');
  }

  /** Counts what the other side did not take. */
  #settle({ counts, highestMs }: SendBody, { kind, text, written }: PostResult, isRepeated: boolean): void {
    const { logger } = this.#options;
    const { metrics } = this;
    const taken = written ?? (kind === 'sent' ? counts : { samples: 0, histograms: 0, exemplars: 0 });
    const lost = { samples: 0, histograms: 0, exemplars: 0 };
    for (const each of KINDS) {
      lost[each] = Math.max(0, counts[each] - taken[each]);
      metrics.failed[each].inc(lost[each]);
    }
    this.#highestSentMs = Math.max(this.#highestSentMs, highestMs);
    metrics.highestSent.set(Math.floor(this.#highestSentMs / 1000));
    const failed = {
      failedSampleCount: lost.samples,
      failedHistogramCount: lost.histograms,
      failedExemplarCount: lost.exemplars,
    };
    if (kind === 'refused' && isRepeated) {
      const message =
        'A request that was under way when the last process ended was refused now; most likely it had arrived then';
      logger.warn({ ...this.#fields, ...failed, err: text }, message);
    } else if (kind === 'refused') logger.error({ ...this.#fields, ...failed, err: text }, 'non-recoverable error');
    else if (total(lost) > 0) {
      const message =
        'we got 2xx status code from the Receiver yet statistics indicate some data was not written; investigation needed';
      logger.error({ ...this.#fields, ...failed }, message);
    }
  }

  #note(report: SenderReport): void {
    const { logger } = this.#options;
    const { metrics } = this;
    const before = this.#last;
    this.#last = report;
    metrics.shards.set(this.#shards);
    const { dropped } = report;
    for (const kind of KINDS) {
      metrics.pending[kind].set(report.pending[kind]);
      const set = (reason: string, n: number): void => {
        if (n > 0) metrics.dropped[kind].set(n, [reason]);
      };
      set('too_old', dropped.tooOld[kind]);
      set('dropped_series', dropped.byRelabelling[kind]);
      set('unintentionally_dropped_series', dropped.unknownSeries[kind]);
      if (kind !== 'histograms') continue;
      set('nhcb_in_rw1_not_supported', dropped.customBuckets);
      set('nhcb_to_classic_conversion_error', dropped.conversionErrors);
    }
    metrics.enqueueRetries.set(report.enqueueRetries);
    metrics.highest.set(Math.max(0, Math.floor(report.highestMs / 1000)));
    metrics.segment.set(report.segment);
    metrics.decodeFailures.set(report.undecodableRecords);
    for (const { kind, count } of report.records) metrics.recordsRead.set(count, [kind]);
    const droppedOf = (of: SenderReport['dropped']): number =>
      total(of.byRelabelling) + total(of.unknownSeries) + of.conversionErrors;
    this.#rates.in.add(total(report.read) - (before === undefined ? 0 : total(before.read)));
    this.#rates.dropped.add(droppedOf(dropped) - (before === undefined ? 0 : droppedOf(before.dropped)));
    for (const text of report.trouble) logger.warn(this.#fields, text);
  }

  #thinkShardsOver(): void {
    const { clock, config, logger } = this.#options;
    for (const rate of Object.values(this.#rates)) rate.tick();
    const { exact, shards } = desiredShards({
      shards: this.#shards,
      min: config.queue_config.min_shards,
      max: config.queue_config.max_shards,
      inRate: this.#rates.in.perSecond,
      droppedRate: this.#rates.dropped.perSecond,
      outRate: this.#rates.out.perSecond,
      sendingSeconds: this.#rates.sending.perSecond,
      delaySeconds: ((this.#last?.highestMs ?? 0) - this.#highestSentMs) / 1000,
    });
    if (exact !== undefined) this.metrics.shardsDesired.set(exact);
    const nowMs = clock.monotonicMs();
    if (shards === this.#shards || nowMs < this.#noReshardUntilMs || this.#lastSentMs < nowMs - SHARD_UPDATE_MS) return;
    logger.info({ ...this.#fields, from: this.#shards, to: shards }, 'Remote storage resharding');
    this.#wantedShards = shards;
  }

  #watchMetadata(): MetadataWatcher | undefined {
    const { config, clock, logger, metadata } = this.#options;
    const { send, send_interval, max_samples_per_send } = config.metadata_config;
    if (!send) return undefined;
    if (this.#isV2) {
      logger.warn(this.#fields, METADATA_IGNORED);
      return undefined;
    }
    return new MetadataWatcher({
      targets: metadata.targets,
      send: (entries, signal) => this.#sendMetadata(entries, signal),
      intervalMs: send_interval,
      maxPerSend: max_samples_per_send,
      clock,
      logger,
      fields: this.#fields,
    });
  }

  async #sendMetadata(entries: MetricMetadata[], signal: AbortSignal): Promise<void> {
    const { logger, metadata } = this.#options;
    const { metrics } = this;
    const bytes = await metadata.body(entries);
    const result = await this.#untilDone(signal, {
      // What is said again after the next start is not worth waiting for.
      attempt: async (n) => (n > 0 && this.#isFlushing ? undefined : this.#post(bytes, n, signal)),
      onRetry: () => metrics.metadataRetried.inc(entries.length),
    });
    if (result?.kind === 'sent') {
      metrics.metadata.inc(entries.length);
      metrics.metadataBytes.inc(bytes.byteLength);
      return;
    }
    const err = result?.text ?? 'context canceled';
    metrics.metadataFailed.inc(entries.length);
    const fields = { ...this.#fields, count: entries.length, err };
    logger.error(fields, 'non-recoverable error while sending metadata');
  }
}

/** A request of which nothing is left that is young enough. */
const NOTHING_LEFT: PostResult = { kind: 'sent', text: '', written: undefined, retryAfterMs: 0 };

/**
 * Success by status alone is none: who takes 2.0 has to say what was written.
 * See https://prometheus.io/docs/specs/remote_write_spec_2_0/#required-written-response-headers.
 */
function checkWritten(result: PostResult, sent: SendCounts): PostResult {
  const written = result.written ?? { samples: 0, histograms: 0, exemplars: 0 };
  if (result.kind !== 'sent' || total(sent) === 0) return { ...result, written };
  if (total(written) > 0) return result;
  const text = `sent v2 request with ${sent.samples} samples, ${sent.histograms} histograms and ${sent.exemplars} exemplars; got 2xx, but PRW 2.0 response header statistics indicate ${written.samples} samples, ${written.histograms} histograms and ${written.exemplars} exemplars were accepted; assuming failure e.g. the target only supports PRW 1.0 prometheus.WriteRequest, but does not check the Content-Type header correctly`;
  return { ...result, kind: 'refused', text, written };
}

/** Whether anybody hears what is said at the level of debugging; a logger that does not say is asked. */
function isDebugging(logger: Logger): boolean {
  const { level } = logger as { level?: string };
  return level === undefined || level === 'debug' || level === 'trace';
}

function total(counts: SendCounts): number {
  return counts.samples + counts.histograms + counts.exemplars;
}
