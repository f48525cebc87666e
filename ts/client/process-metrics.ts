/**
 * What every Prometheus client library says of its process, and Node's own event loop and heap. On
 * systems without /proc the figures that only it has are left out.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Registry } from './registry.ts';

const NANOSECONDS_PER_SECOND = 1e9;
/** How often the event loop is looked at; finer than this costs wake-ups while idle. */
const EVENT_LOOP_RESOLUTION_MS = 100;

/** Registers the metrics; the returned function stops the measuring. */
export function registerProcessMetrics(registry: Registry): () => void {
  registerProcess(registry);
  registerNode(registry);
  return registerEventLoop(registry);
}

function registerProcess(registry: Registry): void {
  const cpu = registry.counter({
    name: 'process_cpu_seconds_total',
    help: 'Total user and system CPU time spent in seconds.',
  });
  const resident = registry.gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory size in bytes.',
  });
  const start = registry.gauge({
    name: 'process_start_time_seconds',
    help: 'Start time of the process since unix epoch in seconds.',
  });
  start.set(performance.timeOrigin / 1000);
  registry.onCollect(() => {
    const { user, system } = process.cpuUsage();
    cpu.setTotal((user + system) / 1e6);
    resident.set(process.memoryUsage.rss());
  });
  if (process.platform === 'linux') registerProcfs(registry);
}

function registerProcfs(registry: Registry): void {
  const virtual = registry.gauge({
    name: 'process_virtual_memory_bytes',
    help: 'Virtual memory size in bytes.',
  });
  const openFds = registry.gauge({ name: 'process_open_fds', help: 'Number of open file descriptors.' });
  const maxFds = registry.gauge({ name: 'process_max_fds', help: 'Maximum number of open file descriptors.' });
  registry.onCollect(() => {
    // A hidden or restricted /proc leaves the last values standing.
    try {
      virtual.set(kibibytes(readFileSync('/proc/self/status', 'utf8'), 'VmSize'));
      openFds.set(readdirSync('/proc/self/fd').length);
      const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
      maxFds.set(limit === undefined ? Number.POSITIVE_INFINITY : Number(limit));
    } catch {
      return;
    }
  });
}

function kibibytes(status: string, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status);
  return Number(match?.[1] ?? 0) * 1024;
}

function registerNode(registry: Registry): void {
  registry
    .gauge({ name: 'nodejs_version_info', help: 'Node.js version info.', labelNames: ['version'] })
    .set(1, [process.version]);
  const heapTotal = registry.gauge({
    name: 'nodejs_heap_size_total_bytes',
    help: 'Process heap size from Node.js in bytes.',
  });
  const heapUsed = registry.gauge({
    name: 'nodejs_heap_size_used_bytes',
    help: 'Process heap size used from Node.js in bytes.',
  });
  const external = registry.gauge({
    name: 'nodejs_external_memory_bytes',
    help: 'Node.js external memory size in bytes.',
  });
  registry.onCollect(() => {
    const usage = process.memoryUsage();
    heapTotal.set(usage.heapTotal);
    heapUsed.set(usage.heapUsed);
    external.set(usage.external);
  });
}

function registerEventLoop(registry: Registry): () => void {
  const mean = registry.gauge({
    name: 'nodejs_eventloop_lag_mean_seconds',
    help: 'The mean of the recorded event loop delays since the last scrape.',
  });
  const max = registry.gauge({
    name: 'nodejs_eventloop_lag_max_seconds',
    help: 'The maximum recorded event loop delay since the last scrape.',
  });
  const p99 = registry.gauge({
    name: 'nodejs_eventloop_lag_p99_seconds',
    help: 'The 99th percentile of the recorded event loop delays since the last scrape.',
  });
  const delay = monitorEventLoopDelay({ resolution: EVENT_LOOP_RESOLUTION_MS });
  delay.enable();
  registry.onCollect(() => {
    // The histogram holds whole timer intervals; the lag is what comes on top of the resolution.
    const lag = (ns: number) => Math.max(0, ns / NANOSECONDS_PER_SECOND - EVENT_LOOP_RESOLUTION_MS / 1000);
    const seen = delay.count > 0;
    mean.set(seen ? lag(delay.mean) : 0);
    max.set(seen ? lag(delay.max) : 0);
    p99.set(seen ? lag(delay.percentile(99)) : 0);
    delay.reset();
  });
  return () => {
    delay.disable();
  };
}
