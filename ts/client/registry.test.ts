import { describe, expect, it } from 'vitest';
import { Registry, registerProcessMetrics } from './index.ts';

describe('Registry', () => {
  it('renders counters and gauges by name, with escaped labels and help', () => {
    const registry = new Registry();
    const gauge = registry.gauge({ name: 'b', help: 'two\nlines \\ slash' });
    const counter = registry.counter({ name: 'a_total', help: 'A.', labelNames: ['path', 'code'] });
    gauge.set(Number.POSITIVE_INFINITY);
    counter.inc(['say "hi"\n\\', '200'], 2.5);
    counter.inc(['/', '404']);
    expect(registry.text()).toBe(
      [
        '# HELP a_total A.',
        '# TYPE a_total counter',
        'a_total{path="say \\"hi\\"\\n\\\\",code="200"} 2.5',
        'a_total{path="/",code="404"} 1',
        '# HELP b two\\nlines \\\\ slash',
        '# TYPE b gauge',
        'b +Inf',
        '',
      ].join('\n'),
    );
  });

  it('counts observations in cumulative buckets whose bounds are inclusive', () => {
    const registry = new Registry();
    const histogram = registry.histogram({ name: 'h', help: 'H.', labelNames: ['l'], buckets: [1, 2] });
    for (const value of [1, 1.5, 2, 9]) histogram.observe(value, ['x']);
    expect(registry.text().split('\n').slice(2)).toEqual([
      'h_bucket{l="x",le="1"} 1',
      'h_bucket{l="x",le="2"} 3',
      'h_bucket{l="x",le="+Inf"} 4',
      'h_sum{l="x"} 13.5',
      'h_count{l="x"} 4',
      '',
    ]);
  });

  it('renders a summary as sum and count', () => {
    const registry = new Registry();
    const summary = registry.summary({ name: 's', help: 'S.' });
    summary.observe(1);
    summary.observe(2);
    expect(registry.text()).toContain('s_sum 3\ns_count 2\n');
  });

  const refused: [string, () => unknown][] = [
    ['a bad name', () => new Registry().gauge({ name: 'a-b', help: '' })],
    ['a bad label', () => new Registry().gauge({ name: 'a', help: '', labelNames: ['a:b'] })],
    ['a falling counter', () => new Registry().counter({ name: 'a', help: '' }).inc([], -1)],
    ['missing label values', () => new Registry().counter({ name: 'a', help: '', labelNames: ['x'] }).inc()],
  ];
  it.each(refused)('refuses %s', (_, act) => {
    expect(act).toThrow(RangeError);
  });

  it('refuses a name twice', () => {
    const registry = new Registry();
    registry.gauge({ name: 'a', help: '' });
    expect(() => registry.counter({ name: 'a', help: '' })).toThrow('registered twice');
  });
});

describe('registerProcessMetrics', () => {
  it('says what client libraries say of their process', () => {
    const registry = new Registry();
    const stop = registerProcessMetrics(registry);
    const text = registry.text();
    stop();
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'process_start_time_seconds']) {
      expect(text).toMatch(new RegExp(`^${name} [0-9.e+]+$`, 'm'));
    }
    expect(text).toContain('nodejs_eventloop_lag_mean_seconds ');
  });
});
