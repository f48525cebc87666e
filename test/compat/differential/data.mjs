/**
 * The data of the differential run: two hours of 15 s samples as OpenMetrics text, of the shapes that queries trip over:
 * counters with resets, gauges with gaps, series that come and go, jittered times, special values, classic histograms.
 */
import { Random } from './random.mjs';

export const START_SECONDS = 1_767_225_600;
export const STEPS = 480;
export const INTERVAL_SECONDS = 15;

const instances = ['a:1', 'b:2', 'c:3'];
const modes = ['user', 'system', 'idle'];
const bounds = ['0.1', '0.5', '1.0', '2.5', '10.0', '+Inf'];

export function openMetrics(seed) {
  const random = new Random(seed);
  const lines = [];
  const family = (name, type, series) => {
    lines.push(`# TYPE ${name} ${type}`);
    for (const each of series) lines.push(...each);
  };
  const labels = (of) =>
    `{${Object.entries(of)
      .map(([k, v]) => `${k}="${v}"`)
      .join(',')}}`;
  const at = (step, jitterMs = 0) => (START_SECONDS + step * INTERVAL_SECONDS + jitterMs / 1000).toFixed(3);

  const counters = instances.flatMap((instance) =>
    modes.map((mode, m) => {
      let value = random.below(1000);
      const jitter = random.chance(0.3);
      return range((step) => {
        if (random.chance(0.01)) value = 0;
        value += random.below(50) / (m === 2 ? 1 : 4);
        return `cpu_seconds_total${labels({ instance, job: 'node', mode })} ${value} ${at(step, jitter ? random.below(900) : 0)}`;
      });
    }),
  );
  family('cpu_seconds', 'counter', counters);

  const requests = instances.flatMap((instance) =>
    ['200', '404', '500'].map((code) => {
      let value = 0;
      const [from, to] = [random.below(200), 280 + random.below(200)];
      return range((step) => {
        value += random.below(7);
        return step >= from && step < to && !random.chance(0.05)
          ? `requests_total${labels({ code, instance, job: 'web' })} ${value} ${at(step)}`
          : undefined;
      });
    }),
  );
  family('requests', 'counter', requests);

  const gauges = instances.flatMap((instance, i) =>
    ['x', 'y'].map((dim) => {
      let value = random.next() * 100;
      return range((step) => {
        value += random.next() - 0.5;
        const shown = random.chance(0.01) ? random.pick(['NaN', '+Inf', '-Inf', '0', '-0.0']) : value.toFixed(i + 1);
        return random.chance(0.1)
          ? undefined
          : `temperature${labels({ dim, instance, job: 'web' })} ${shown} ${at(step)}`;
      });
    }),
  );
  family('temperature', 'gauge', gauges);

  const info = instances.map((instance, i) =>
    range(
      (step) => `build_info${labels({ instance, job: 'node', version: `v${i}.${step > 240 ? 1 : 0}` })} 1 ${at(step)}`,
    ),
  );
  family('build_info', 'gauge', info);

  const histograms = instances.slice(0, 2).map((instance) => {
    const counts = bounds.map(() => 0);
    let sum = 0;
    return range((step) => {
      const seen = random.below(20);
      for (let n = 0; n < seen; n++) {
        const value = random.next() ** 3 * 12;
        sum += value;
        for (const [b, bound] of bounds.entries()) if (value <= Number(bound.replace('+Inf', 'Infinity'))) counts[b]++;
      }
      const own = { instance, job: 'web' };
      return [
        ...bounds.map((le, b) => `latency_seconds_bucket${labels({ ...own, le })} ${counts[b]} ${at(step)}`),
        `latency_seconds_count${labels(own)} ${counts.at(-1)} ${at(step)}`,
        `latency_seconds_sum${labels(own)} ${sum.toFixed(6)} ${at(step)}`,
      ];
    }).flat();
  });
  family('latency_seconds', 'histogram', histograms);
  return `${lines.join('\n')}\n# EOF\n`;
}

function range(line) {
  return Array.from({ length: STEPS }, (_, step) => line(step)).filter((l) => l !== undefined);
}
