/**
 * The data of the differential run: two hours of 15 s samples of the shapes that queries trip over. Counters with resets
 * and start timestamps, gauges with gaps, series that come and go, stale markers, jittered times, special values, sums
 * that cancel, classic and native histograms of every kind, floats and histograms in one series, UTF-8 names.
 */
import { Observed } from './histograms.mjs';
import { Random } from './random.mjs';

export const START_SECONDS = 1_767_225_600;
export const STEPS = 480;
export const INTERVAL_SECONDS = 15;

const instances = ['a:1', 'b:2', 'c:3'];
const modes = ['user', 'system', 'idle'];
const bounds = ['0.1', '0.5', '1.0', '2.5', '10.0', '+Inf'];
const special = ['NaN', Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0];

/**
 * Calls `send` with what is appended at each step: series as `remoteWrite` takes them, each with one sample. A stale
 * marker is the value NaN.
 */
export async function eachStep(seed, send) {
  const random = new Random(seed);
  const series = [...counters(random), ...gauges(random), ...classic(random), ...native(random), ...oddities(random)];
  const start = START_SECONDS * 1000;
  for (let step = 0; step < STEPS; step++) {
    const batch = [];
    for (const { labels, jitter = false, at } of series) {
      const t = start + step * INTERVAL_SECONDS * 1000 + (jitter ? random.below(900) : 0);
      const point = at(step, t);
      if (point === undefined) continue;
      batch.push(point.schema === undefined ? { labels, samples: [{ t, ...point }] } : { labels, histograms: [point] });
    }
    await send(batch);
  }
}

function counters(random) {
  const cpu = instances.flatMap((instance) =>
    modes.map((mode, m) => {
      let [value, st] = [random.below(1000), START_SECONDS * 1000 - random.below(3_600_000)];
      const started = mode !== 'idle';
      return {
        labels: { __name__: 'cpu_seconds_total', instance, job: 'node', mode },
        jitter: random.chance(0.3),
        at: (_, t) => {
          if (random.chance(0.015)) [value, st] = [0, t - random.below(14_000)];
          // A process that starts again may have counted further than the one before it.
          else if (random.chance(0.005)) st = t - random.below(14_000);
          value += random.below(50) / (m === 2 ? 1 : 4);
          return { v: value, st: started ? st : 0 };
        },
      };
    }),
  );
  const requests = instances.flatMap((instance) =>
    ['200', '404', '500'].map((code) => {
      let value = 0;
      const [from, to] = [random.below(200), 280 + random.below(200)];
      return {
        labels: { __name__: 'requests_total', code, instance, job: 'web' },
        at: (step) => {
          value += random.below(7);
          if (step === to && code !== '404') return { v: Number.NaN };
          return step >= from && step < to && !random.chance(0.05) ? { v: value } : undefined;
        },
      };
    }),
  );
  const typed = [
    ['counter', 'seconds'],
    ['gauge', 'bytes'],
    ['counter', 'bytes'],
  ].map(([type, unit], i) => {
    let value = 0;
    return {
      labels: { __name__: 'typed', __type__: type, __unit__: unit, instance: instances[i] ?? '', job: 'node' },
      at: () => {
        if (random.chance(0.01)) value = 0;
        value += random.below(100);
        return { v: value };
      },
    };
  });
  return [...cpu, ...requests, ...typed];
}

function gauges(random) {
  const temperature = instances.flatMap((instance, i) =>
    ['x', 'y'].map((dim) => {
      let value = random.next() * 100;
      return {
        labels: { __name__: 'temperature', dim, instance, job: 'web' },
        at: () => {
          value += random.next() - 0.5;
          if (random.chance(0.1)) return random.chance(0.1) ? { v: Number.NaN } : undefined;
          return { v: random.chance(0.01) ? random.pick(special) : Number(value.toFixed(i + 1)) };
        },
      };
    }),
  );
  const info = instances.flatMap((instance, i) => [
    ...['v0', 'v1'].map((version, late) => ({
      labels: { __name__: 'build_info', instance, job: 'node', version: `${version}.${i}` },
      at: (step) => (step < 240 === (late === 0) ? { v: 1 } : step === 240 ? { v: Number.NaN } : undefined),
    })),
    {
      labels: { __name__: 'target_info', instance, job: i === 2 ? 'web' : 'node', cluster: `k${i}`, zone: 'z' },
      at: (step) => (i === 1 && step > 300 ? undefined : { v: 1 }),
    },
  ]);
  return [...temperature, ...info];
}

function classic(random) {
  return instances.slice(0, 2).flatMap((instance) => {
    const counts = bounds.map(() => 0);
    let [sum, seen] = [0, -1];
    const observe = (step) => {
      if (step === seen) return;
      seen = step;
      if (random.chance(0.01)) {
        counts.fill(0);
        sum = 0;
      }
      for (let n = random.below(20); n > 0; n--) {
        const value = random.next() ** 3 * 12;
        sum += value;
        for (const [b, bound] of bounds.entries()) if (value <= Number(bound.replace('+Inf', 'Infinity'))) counts[b]++;
      }
    };
    const own = { instance, job: 'web' };
    const one = (name, more, value) => ({
      labels: { __name__: `latency_seconds${name}`, ...own, ...more },
      at: (step) => {
        observe(step);
        // Here and there a bucket has fallen behind the one below it.
        return { v: value() * (name === '_bucket' && random.chance(0.002) ? 0.9 : 1) };
      },
    });
    return [
      ...bounds.map((le, b) => one('_bucket', { le }, () => counts[b])),
      one('_count', {}, () => counts.at(-1)),
      one('_sum', {}, () => sum),
    ];
  });
}

function native(random) {
  const observed = (name, labels, { each, observe, change = () => {}, gap = 0.03, started = false, ...kind }) => {
    let [h, st] = [new Observed(kind), START_SECONDS * 1000 - 5000];
    return {
      labels: { __name__: name, ...labels },
      at: (step, t) => {
        h = change(step, h) ?? h;
        if (kind.isGauge || random.chance(0.01)) {
          h.clear();
          st = t - random.below(14_000);
        }
        for (let n = random.below(each); n > 0; n--) h.observe(observe(), kind.isFloat ? 1 + random.next() : 1);
        if (random.chance(gap)) return random.chance(0.2) ? { v: Number.NaN } : undefined;
        if (random.chance(0.002)) h.observe(Number.NaN);
        const sent = h.sent(t, started ? st : 0);
        if (Number.isNaN(sent.sum)) sent.sum = 'NaN';
        return sent;
      },
    };
  };
  const near = () => random.next() ** 3 * 12;
  const around = () => (random.next() - 0.4) * 8;
  const [bounds1, bounds2] = [
    [0.1, 0.5, 1, 2.5, 10],
    [0.1, 1, 5, 10],
  ];
  const finer = (step, h) =>
    step === 200 ? new Observed({ ...h, bounds: undefined, schema: h.schema + 1 }) : undefined;
  const wider = (step, h) => (step === 250 ? new Observed({ ...h, zeroThreshold: 0.3 }) : undefined);
  const otherBounds = (step, h) => (step === 220 ? new Observed({ ...h, bounds: bounds2 }) : undefined);
  const [a, b, c] = instances;
  return [
    observed('nh', { instance: a, job: 'web' }, { each: 12, observe: near, schema: 0, started: true }),
    observed('nh', { instance: b, job: 'web' }, { each: 12, observe: near, schema: 3, change: finer }),
    observed('nh', { instance: c, job: 'web' }, { each: 12, observe: around, schema: 1, isFloat: true, change: wider }),
    observed('nh', { instance: c, job: 'node' }, { each: 3, observe: around, schema: 2, zeroThreshold: 0.5 }),
    observed('nh_gauge', { instance: a, job: 'web' }, { each: 9, observe: around, schema: 0, isGauge: true }),
    observed(
      'nh_gauge',
      { instance: b, job: 'web' },
      { each: 9, observe: near, schema: 1, isGauge: true, isFloat: true },
    ),
    observed('nhcb', { instance: a, job: 'web' }, { each: 9, observe: near, bounds: bounds1, started: true }),
    observed('nhcb', { instance: b, job: 'web' }, { each: 9, observe: near, bounds: bounds1, change: otherBounds }),
    observed('nhcb', { instance: c, job: 'web' }, { each: 9, observe: near, bounds: bounds2, isFloat: true }),
    ...mixed(observed('', {}, { each: 5, observe: near, schema: 1 }).at, random),
  ];
}

/** Floats and histograms in one series: in stretches, and in turns. */
function mixed(histogram, random) {
  const either = (instance, isFloat) => ({
    labels: { __name__: 'mixed', instance, job: 'web' },
    at: (step, t) => (isFloat(step) ? { v: step + instance.charCodeAt(0) / 8 } : histogram(step, t)),
  });
  return [
    either('a:1', (step) => step % 100 < 50),
    either('b:2', () => random.chance(0.3)),
    either('c:3', (step) => step % 2 === 0),
  ];
}

function oddities(random) {
  const cancelling = instances.map((instance, i) => ({
    labels: { __name__: 'cancelling', instance, job: 'web' },
    at: (step) => ({ v: [1e16, 1, -1e16, 0.1, 1e100, -1e100, 3][(step + i) % (i === 2 ? 7 : 4)] }),
  }));
  const tied = instances.flatMap((instance) =>
    modes.map((mode) => ({ labels: { __name__: 'tied', instance, mode }, at: () => ({ v: random.below(3) }) })),
  );
  const brief = instances.map((instance, i) => ({
    labels: { __name__: 'brief', instance, job: 'web' },
    at: (step) =>
      step % 97 < 5 + i * 9 ? { v: step } : step % 97 === 5 + i * 9 && i > 0 ? { v: Number.NaN } : undefined,
  }));
  const utf8 = ['get', 'put'].map((method, i) => ({
    labels: {
      __name__: 'http.requests',
      'http.method': method,
      größe: `${i}`,
      instance: instances[i] ?? '',
      job: 'web',
    },
    at: (step) => ({ v: step * (i + 1) }),
  }));
  const tiny = {
    labels: { __name__: 'tiny', instance: 'a:1', job: 'web' },
    at: () => ({ v: random.pick([5e-324, 1e-310, -5e-324, 1e308, -1e308, 0]) }),
  };
  return [...cancelling, ...tied, ...brief, ...utf8, tiny];
}
