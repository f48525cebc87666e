/**
 * One queue of remote write: asks the core for requests, has each shard post one at a time, tries again what may yet
 * succeed, and tells the core what is done with.
 */

import type { RemoteWriteConfig } from '../config/index.ts';
import type { SendBatch, SendCounts, Sender, SenderReport } from '../core/index.ts';
import { type Clock, type Logger, messageOf, sleep } from '../util/index.ts';
import { KINDS, type QueueMetrics } from './queue-metrics.ts';
import { desiredShards, EwmaRate, SHARD_UPDATE_MS } from './shard-count.ts';
import type { PostResult, WriteClient } from './write-client.ts';

/** How often the log is looked at while nothing comes. */
const POLL_MS = 100;
/** After the core could not answer. */
const ERROR_PAUSE_MS = 5000;

export interface WriteQueueOptions {
  name: string;
  /** Without a password. */
  url: string;
  config: RemoteWriteConfig;
  sender: Sender;
  client: WriteClient;
  clock: Clock;
  logger: Logger;
  metrics: QueueMetrics;
}

export class WriteQueue {
  readonly #options: WriteQueueOptions;
  readonly #labels: [string, string];
  readonly #fields: { component: string; remote_name: string; url: string };
  readonly #busy = new Map<number, Promise<void>>();
  readonly #rates = { in: new EwmaRate(), out: new EwmaRate(), dropped: new EwmaRate(), sending: new EwmaRate() };
  readonly #giveUp = new AbortController();
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
    const { name, url, config, metrics } = options;
    this.#labels = [name, url];
    this.#fields = { component: 'remote', remote_name: name, url };
    this.#shards = config.queue_config.min_shards;
    this.#wantedShards = this.#shards;
    const { capacity, max_shards, min_shards, max_samples_per_send } = config.queue_config;
    metrics.shardCapacity.set(this.#labels, capacity);
    metrics.shardsMax.set(this.#labels, max_shards);
    metrics.shardsMin.set(this.#labels, min_shards);
    metrics.shardsDesired.set(this.#labels, min_shards);
    metrics.shards.set(this.#labels, min_shards);
    metrics.maxSamplesPerSend.set(this.#labels, max_samples_per_send);
    for (const kind of KINDS) {
      for (const family of [metrics.sent, metrics.failed, metrics.retried]) family[kind].inc(this.#labels, 0);
    }
    metrics.bytes.inc(this.#labels, 0);
  }

  start(): void {
    this.#running = this.#run();
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
    this.#cancelUpdate();
    this.#isFlushing = true;
    this.#wake();
    const cancelDeadline = clock.setTimer(this.#failing ? 0 : deadlineMs, () => this.#giveUp.abort());
    await this.#running;
    cancelDeadline();
    await sender.close(this.#finished.splice(0)).catch((error: unknown) => {
      logger.error({ ...this.#fields, err: messageOf(error) }, 'The place in the WAL was not remembered');
    });
    client.close();
    const left = this.#last === undefined || this.#last.isIdle ? 0 : total(this.#last.pending);
    if (left > 0)
      logger.warn({ ...this.#fields, pending: left }, 'Not everything was sent; the rest follows after the next start');
    this.#options.logger.info(this.#fields, 'Remote storage stopped.');
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
    const { clock, client, config, logger, metrics, sender } = this.#options;
    const { min_backoff, max_backoff, sample_age_limit } = config.queue_config;
    let backoffMs = min_backoff;
    let { body } = batch;
    const begun = clock.monotonicMs();
    for (let attempt = 0; ; attempt++) {
      if (this.#giveUp.signal.aborted) return false;
      if (attempt > 0 && sample_age_limit > 0 && body.lowestMs < clock.nowMs() - sample_age_limit) {
        body = await sender.rebuild(batch.id);
        if (total(body.counts) === 0) return true;
      }
      for (const kind of KINDS) metrics.sent[kind].inc(this.#labels, body.counts[kind]);
      const started = clock.monotonicMs();
      const result = await client.post(body.bytes, attempt, this.#giveUp.signal).catch((error: unknown) => {
        if (this.#giveUp.signal.aborted) return undefined;
        throw error;
      });
      if (result === undefined) return false;
      metrics.duration.observe(this.#labels, (clock.monotonicMs() - started) / 1000);
      if (result.kind !== 'failed') {
        this.#failing = false;
        this.#settle(body.counts, result);
        metrics.bytes.inc(this.#labels, body.bytes.byteLength);
        this.#highestSentMs = Math.max(this.#highestSentMs, body.highestMs);
        metrics.highestSent.set(this.#labels, Math.floor(this.#highestSentMs / 1000));
        this.#rates.out.add(total(body.counts));
        this.#rates.sending.add((clock.monotonicMs() - begun) / 1000);
        this.#lastSentMs = clock.monotonicMs();
        return true;
      }
      this.#failing = true;
      // So that many who failed together do not come back together.
      const waitMs = result.retryAfterMs > 0 ? result.retryAfterMs : backoffMs * (0.75 + Math.random() / 2);
      this.#noReshardUntilMs = Math.max(this.#noReshardUntilMs, clock.monotonicMs() + 2 * waitMs);
      logger.warn(
        { ...this.#fields, err: result.text, wait: `${Math.round(waitMs)}ms`, attempt },
        'Failed to send batch, retrying',
      );
      if (this.#isFlushing) this.#giveUp.abort();
      if (!(await sleep(clock, waitMs, this.#giveUp.signal))) return false;
      for (const kind of KINDS) metrics.retried[kind].inc(this.#labels, body.counts[kind]);
      backoffMs = Math.min((result.retryAfterMs > 0 ? result.retryAfterMs : backoffMs) * 2, max_backoff);
    }
  }

  /** Counts what the other side did not take. */
  #settle(counts: SendCounts, { kind, text, written }: PostResult): void {
    const { config, logger, metrics } = this.#options;
    const isV2 = config.protobuf_message !== 'prometheus.WriteRequest';
    const taken = written ?? (kind === 'sent' && !isV2 ? counts : { samples: 0, histograms: 0, exemplars: 0 });
    let lost = 0;
    for (const each of KINDS) {
      const missing = Math.max(0, counts[each] - taken[each]);
      metrics.failed[each].inc(this.#labels, missing);
      lost += missing;
    }
    if (kind === 'refused') logger.error({ ...this.#fields, err: text, failed: lost }, 'non-recoverable error');
    else if (lost > 0) {
      const message = 'the other side answered with success, and says that it has not written everything';
      logger.error({ ...this.#fields, failed: lost }, message);
    }
  }

  #note(report: SenderReport): void {
    const { logger, metrics } = this.#options;
    const before = this.#last;
    this.#last = report;
    const labels = this.#labels;
    metrics.shards.set(labels, this.#shards);
    for (const kind of KINDS) {
      metrics.pending[kind].set(labels, report.pending[kind]);
      metrics.dropped[kind].set([...labels, 'too_old'], report.dropped.tooOld[kind]);
      metrics.dropped[kind].set([...labels, 'dropped_series'], report.dropped.byRelabelling[kind]);
      metrics.dropped[kind].set([...labels, 'unintentionally_dropped_series'], report.dropped.unknownSeries[kind]);
    }
    metrics.dropped.histograms.set([...labels, 'nhcb_in_rw1_not_supported'], report.dropped.customBuckets);
    metrics.highest.set(labels, report.highestMs > 0 ? Math.floor(report.highestMs / 1000) : 0);
    const droppedOf = ({ dropped }: SenderReport): number =>
      total(dropped.byRelabelling) + total(dropped.unknownSeries);
    this.#rates.in.add(total(report.read) - (before === undefined ? 0 : total(before.read)));
    this.#rates.dropped.add(droppedOf(report) - (before === undefined ? 0 : droppedOf(before)));
    for (const text of report.trouble) logger.warn(this.#fields, text);
  }

  #thinkShardsOver(): void {
    const { clock, config, logger, metrics } = this.#options;
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
    if (exact !== undefined) metrics.shardsDesired.set(this.#labels, exact);
    const nowMs = clock.monotonicMs();
    if (shards === this.#shards || nowMs < this.#noReshardUntilMs || this.#lastSentMs < nowMs - SHARD_UPDATE_MS) return;
    logger.info({ ...this.#fields, from: this.#shards, to: shards }, 'Remote storage resharding');
    this.#wantedShards = shards;
  }
}

function total(counts: SendCounts): number {
  return counts.samples + counts.histograms + counts.exemplars;
}
