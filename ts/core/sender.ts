/** Queues of remote write as TypeScript sees them: the core follows the log and makes the requests, TypeScript posts them. */

import type { LabelSet, RelabelRule, ValidationScheme } from './engine.ts';

/** What a queue sends, and how. */
export interface SenderOptions {
  /** The name under which the queue's place in the log is remembered: letters and digits. One open queue each. */
  key: string;
  /** What people call the queue. */
  name: string;
  /** Added to series that have no such label; then come the rules. */
  externalLabels: LabelSet;
  writeRelabelRules: RelabelRule[];
  validationScheme: ValidationScheme;
  /** Whether 2.0 takes type and unit from the series' labels. */
  typeAndUnitLabels: boolean;
  protocol: 'prometheus.WriteRequest' | 'io.prometheus.write.v2.Request';
  sendExemplars: boolean;
  sendNativeHistograms: boolean;
  /** Whether those with custom buckets are sent as classic ones, also where native ones are not sent. */
  convertNhcbToClassic: boolean;
  /** Of one request. */
  maxSamplesPerSend: number;
  /** What may wait in a shard before the log is not read on. */
  capacity: number;
  /** A smaller request is made when its first sample has waited so long. */
  batchSendDeadlineMs: number;
  /** Older samples are not sent; 0: all are. */
  sampleAgeLimitMs: number;
}

/** Numbers of each kind. */
export interface SendCounts {
  samples: number;
  histograms: number;
  exemplars: number;
}

/** A finished request, empty where nothing was left to be sent. */
export interface SendBody {
  bytes: Uint8Array;
  counts: SendCounts;
  lowestMs: number;
  highestMs: number;
}

export interface SendBatch {
  id: number;
  shard: number;
  /** It was under way when its queue was left before: the other side may have it. */
  isRepeated: boolean;
  body: SendBody;
}

/** What is asked of a queue. */
export interface SenderPoll {
  /** How many shards there are to be; it changes only while no request is under way. */
  shards: number;
  /** Shards that can send a request. */
  free: number[];
  /** Requests that are done with: taken by the other side, or refused for good. */
  finished: number[];
  /** Whether small requests are not to wait. */
  flush: boolean;
}

/** What a queue answers. Counts go on from its opening. */
export interface SenderReport {
  /** At most one for each free shard. */
  batches: SendBatch[];
  /** There is more to read, and room for it: ask again at once. */
  more: boolean;
  /** Everything in the log has been sent. */
  isIdle: boolean;
  pending: SendCounts;
  read: SendCounts;
  dropped: {
    tooOld: SendCounts;
    byRelabelling: SendCounts;
    unknownSeries: SendCounts;
    /** Histograms that 1.0 cannot carry. */
    customBuckets: number;
    /** Histograms that could not be made classic ones. */
    conversionErrors: number;
  };
  /** How often the log was not read on because a shard was full. */
  enqueueRetries: number;
  /** The highest time that was read; below -9e15 where none was. */
  highestMs: number;
  /** The segment of the log that is being read. */
  segment: number;
  /** Records of the log that were read, by Prometheus' names of their kinds. */
  records: { kind: string; count: number }[];
  /** Records that could not be decoded. */
  undecodableRecords: number;
  series: number;
  /** What somebody should know of. */
  trouble: string[];
}

/** An open queue. */
export interface Sender {
  poll(ask: SenderPoll): Promise<SenderReport>;
  /** A request without what has become too old meanwhile. */
  rebuild(batch: number): Promise<SendBody>;
  /** What is in a request, for people; no more of it than a log can bear. */
  describe(batch: number): Promise<string>;
  /** Remembers the place in the log, and lets go of it. */
  close(finished: number[]): Promise<void>;
}
