/**
 * Remote write as a sender: a queue for each entry of the configuration, its shards, what is tried again and when, and
 * the metrics. The log, the requests' bytes and the place in the log are the core's. It must not know scraping.
 */

export { RemoteStorage, type RemoteStorageOptions } from './remote-storage.ts';
