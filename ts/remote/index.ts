/**
 * Remote write as a sender: a queue for each entry of the configuration, its shards, what is tried again and when, and
 * the metrics. The log, the requests' bytes and the place in the log are the core's. And remote read as a reader: what
 * the core wants to know is posted, and handed over as it came. It must not know scraping.
 */

export { ReadStorage, type ReadStorageOptions } from './read-storage.ts';
export { RemoteStorage, type RemoteStorageOptions } from './remote-storage.ts';
