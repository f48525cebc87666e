/** Series of every kind that remote write carries, and what a server has of them. */

import type { SentSeries } from './remote-write.ts';

const spans = (...all: [number, number][]) => all;

/** One of each kind, in the minute before `endMs`, which is a whole second. */
export function seriesOfEveryKind(endMs: number): SentSeries[] {
  const at = (i: number): number => endMs - 60_000 + i * 15_000;
  const st = endMs - 3_600_000;
  const all = [0, 1, 2, 3];
  const described = (type: 'counter' | 'gauge' | 'histogram', unit: string) => ({ type, help: `A ${type}.`, unit });
  return [
    {
      labels: { __name__: 'sent_seconds_total', a: '1' },
      metadata: described('counter', 'seconds'),
      samples: all.map((i) => ({ t: at(i), st, v: 10 + i * 1.5 })),
      exemplars: all.map((i) => ({ labels: { trace_id: `trace ${i}` }, t: at(i), v: i + 0.5 })),
    },
    {
      labels: { __name__: 'sent_ends', a: '2' },
      metadata: described('gauge', ''),
      samples: [
        { t: at(0), v: 1 },
        { t: at(1), v: 'NaN' },
        { t: at(2), v: Number.NaN },
      ],
    },
    {
      labels: { __name__: 'sent ünï.códe', 'label with ☃': 'value' },
      // Not -0: Prometheus sends it as 0.
      samples: all.map((i) => ({ t: at(i), v: -1 - i })),
    },
    {
      labels: { __name__: 'sent_integer', a: '3' },
      metadata: described('histogram', 'bytes'),
      histograms: all.map((i) => ({
        t: at(i),
        st,
        count: 12 + 2 * i,
        sum: 3.5 * (i + 1),
        schema: 2,
        zeroThreshold: 0.001,
        zeroCount: 2,
        negativeSpans: spans([0, 1]),
        negative: [1],
        positiveSpans: spans([0, 2], [3, 1]),
        positive: [3 + i, 4, 2 + i],
      })),
      exemplars: [{ labels: { trace_id: 'of a histogram' }, t: at(3), v: 1 }],
    },
    {
      labels: { __name__: 'sent_float', a: '4' },
      histograms: all.map((i) => ({
        t: at(i),
        isFloat: true,
        count: 3.5 + i,
        sum: 1.25,
        schema: 0,
        zeroCount: 0.5,
        positiveSpans: spans([1, 2]),
        positive: [1 + i, 2],
        isGauge: true,
      })),
    },
    {
      labels: { __name__: 'sent_custom', a: '5' },
      histograms: all.map((i) => ({
        t: at(i),
        count: 6 + i,
        sum: 20,
        schema: -53,
        positiveSpans: spans([0, 3]),
        positive: [1 + i, 2, 3],
        bounds: [0.5, 2.5],
      })),
    },
  ];
}

type Labels = Record<string, string>;

/** All that a server has of them: series with their samples in order of their labels, and exemplars. */
export async function sentSeriesOf(
  url: string,
  endMs: number,
): Promise<{ series: { metric: Labels }[]; exemplars: { seriesLabels: Labels; exemplars: object[] }[] }> {
  const ask = async (path: string, params: Record<string, string>): Promise<unknown> => {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(params)}`);
    const { data, error } = (await response.json()) as { data: unknown; error?: string };
    if (error !== undefined) throw new Error(error);
    return data;
  };
  const selector = '{__name__=~"sent.*"}';
  const time = String(endMs / 1000);
  const { result } = (await ask('query', { query: `${selector}[2m]`, time })) as { result: { metric: Labels }[] };
  const exemplars = (await ask('query_exemplars', { query: selector, start: '0', end: time })) as {
    seriesLabels: Labels;
    exemplars: object[];
  }[];
  const key = (labels: Labels) => JSON.stringify(Object.entries(labels).sort());
  return {
    series: result.toSorted((a, b) => (key(a.metric) < key(b.metric) ? -1 : 1)),
    exemplars: exemplars.toSorted((a, b) => (key(a.seriesLabels) < key(b.seriesLabels) ? -1 : 1)),
  };
}

/** The same under other labels. */
export function relabelled<T extends Awaited<ReturnType<typeof sentSeriesOf>>>(
  of: T,
  change: (labels: Labels) => Labels,
): Awaited<ReturnType<typeof sentSeriesOf>> {
  const key = (labels: Labels) => JSON.stringify(Object.entries(labels).sort());
  return {
    series: of.series
      .map((each) => ({ ...each, metric: change(each.metric) }))
      .toSorted((a, b) => (key(a.metric) < key(b.metric) ? -1 : 1)),
    exemplars: of.exemplars
      .map((each) => ({ ...each, seriesLabels: change(each.seriesLabels) }))
      .toSorted((a, b) => (key(a.seriesLabels) < key(b.seriesLabels) ? -1 : 1)),
  };
}
