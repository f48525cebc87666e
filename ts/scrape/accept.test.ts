import { describe, expect, it } from 'vitest';
import { DEFAULT_SCRAPE_PROTOCOLS } from '../config/index.ts';
import { acceptEncodingHeader, acceptHeader, fallbackMediaType } from './accept.ts';

describe('the Accept header', () => {
  it('names the default protocols with Prometheus’ weights', () => {
    expect(acceptHeader(DEFAULT_SCRAPE_PROTOCOLS, 'underscores')).toBe(
      'application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.7,application/openmetrics-text;version=0.0.1;q=0.6,text/plain;version=1.0.0;escaping=underscores;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3',
    );
  });

  it('keeps the configured order', () => {
    expect(acceptHeader(['PrometheusText0.0.4', 'OpenMetricsText0.0.1'], 'dots')).toBe(
      'text/plain;version=0.0.4;q=0.7,application/openmetrics-text;version=0.0.1;q=0.6,*/*;q=0.5',
    );
  });

  it('asks for protobuf first, whose names need no escaping', () => {
    expect(acceptHeader(['PrometheusProto', 'OpenMetricsText1.0.0'], 'allow-utf-8')).toBe(
      'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.5',
    );
  });

  it('does not ask for what cannot be read', () => {
    expect(acceptHeader(['OpenMetricsText2.0.0', 'PrometheusText0.0.4'], 'values')).toBe(
      'text/plain;version=0.0.4;q=0.7,*/*;q=0.6',
    );
  });

  it('has its companions', () => {
    const encodings = [acceptEncodingHeader(true, false), acceptEncodingHeader(true, true)];
    expect([...encodings, acceptEncodingHeader(false, true)]).toEqual(['gzip', 'zstd,gzip', 'identity']);
    expect(['PrometheusText0.0.4', 'OpenMetricsText1.0.0', '', 'nope'].map(fallbackMediaType)).toEqual([
      'text/plain',
      'application/openmetrics-text',
      '',
      '',
    ]);
  });
});
