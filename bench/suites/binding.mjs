/**
 * What the binding costs, seen from JavaScript: one crossing, one promise, a body parsed and stored, a query to JSON.
 * Measured bodies are synchronous but for the promises, whose time includes the way back to the event loop.
 */
import Benchmark from 'benchmark';
import { open } from 'narthex';

const SERIES = 2000;
const T0_MS = 1_700_000_000_000;

export async function run() {
  const engine = await open({ dir: ':memory:' });
  const target = engine.openTarget({
    labels: { job: 'bench', instance: 'a:1' },
    honorLabels: false,
    honorTimestamps: true,
    trackTimestampsStaleness: false,
    metricRelabelRules: [],
    validationScheme: 'utf8',
    fallbackContentType: '',
    bodySizeLimitBytes: 0,
    sampleLimit: 0,
    labelLimit: 0,
    labelNameLengthLimit: 0,
    labelValueLengthLimit: 0,
    extraScrapeMetrics: false,
    scrapeTimeoutMs: 10_000,
  });
  const bodies = [0, 1, 2, 3].map((step) => Buffer.from(body(step)));
  let scrapes = 0;
  const scrape = () => {
    scrapes++;
    return target.ingest({
      pieces: [bodies[scrapes % bodies.length]],
      contentEncoding: '',
      contentType: 'text/plain; version=0.0.4',
      timestampMs: T0_MS + scrapes * 15_000,
      elapsedSeconds: 0,
    });
  };
  for (let i = 0; i < 240; i++) await scrape();
  const endMs = T0_MS + scrapes * 15_000;
  const query = { query: 'sum by (mode) (rate(bench_total[5m]))', startMs: endMs - 3_600_000, endMs, stepMs: 15_000 };

  const suite = new Benchmark.Suite('binding');
  suite.add('crossing: checkSelector', () => engine.checkSelector('up{job="a"}'));
  suite.add('crossing: takeLogs', () => consume(engine.takeLogs().length));
  addAsync(suite, 'promise: instant query of 1', () => engine.queryJson({ query: '1', timeMs: endMs }));
  addAsync(suite, `scrape of ${SERIES} series`, scrape);
  addAsync(suite, 'range query over 2,000 series, 241 steps, to JSON', () => engine.queryRangeJson(query));
  await new Promise((resolve) => {
    suite.on('cycle', ({ target: bench }) => {
      const micros = (bench.stats.mean * 1e6).toFixed(2);
      console.log(
        `${bench.name}: ${micros} µs ±${bench.stats.rme.toFixed(1)} % (${bench.stats.sample.length} samples)`,
      );
      if (bench.error) console.log(bench.error);
    });
    suite.on('complete', resolve);
    suite.run({ async: true });
  });
  await engine.close();
}

function addAsync(suite, name, call) {
  suite.add(name, {
    defer: true,
    fn: (deferred) =>
      call().then((result) => {
        consume(result);
        deferred.resolve();
      }),
  });
}

let sink;
function consume(value) {
  sink = value;
  return sink;
}

function body(step) {
  const modes = ['user', 'system', 'idle', 'iowait'];
  const lines = Array.from({ length: SERIES }, (_, i) => {
    const value = i * 100 + step * 7;
    return `bench_total{cpu="${i >> 2}",mode="${modes[i % 4]}"} ${value}`;
  });
  return `# TYPE bench_total counter\n${lines.join('\n')}\n`;
}
