/** What a user sees of a configuration: values, defaults, and mistakes with their places. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ConfigError,
  configToYaml,
  configType,
  diffConfig,
  loadConfig,
  parseConfig,
  parseTargetGroups,
  parseTargetGroupsJson,
  preferProtobuf,
  type ScrapeConfig,
} from './index.ts';

const parse = (text: string) => parseConfig(text, 'prometheus.yml');

function failure(text: string): string {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return 'no error';
}

describe('mistakes', () => {
  it.each<[string, string, string]>([
    [
      'an unknown key',
      'scrape_configs:\n  - job_name: a\n    consult_sd_configs: []\n',
      'prometheus.yml:3:5: field consult_sd_configs not found in scrape_configs[0]; did you mean consul_sd_configs?',
    ],
    [
      'an unknown key at the top',
      'globl: {}\n',
      'prometheus.yml:1:1: field globl not found in the top level; did you mean global?',
    ],
    [
      'a repeated key',
      'global:\n  scrape_interval: 5s\n  scrape_interval: 6s\n',
      'prometheus.yml:3:3: field scrape_interval already set',
    ],
    [
      'a bad duration',
      'global:\n  scrape_interval: 5 minutes\n',
      'prometheus.yml:2:20: not a valid duration string: "5 minutes"',
    ],
    ['a bad size', 'global:\n  body_size_limit: 100\n', 'prometheus.yml:2:20: units: unknown unit  in 100'],
    [
      'a wrong type',
      'global:\n  sample_limit: -1\n',
      'prometheus.yml:2:17: global.sample_limit: expected a whole number that is not negative, found "-1"',
    ],
    [
      'a list for a mapping',
      'global:\n  external_labels: [a]\n',
      'prometheus.yml:2:20: global.external_labels: expected a mapping, found a list',
    ],
    [
      'two mistakes at once',
      'global:\n  nope: 1\nscrape_configs:\n  - job_name: a\n    nope: 2\n',
      'prometheus.yml:2:3: field nope not found in global\nprometheus.yml:5:5: field nope not found in scrape_configs[0]',
    ],
    [
      'a timeout above the interval',
      'scrape_configs:\n  - job_name: a\n    scrape_interval: 5s\n    scrape_timeout: 6s\n',
      'prometheus.yml:4:5: scrape timeout greater than scrape interval for scrape config with job name "a"',
    ],
    [
      'a global timeout above the interval',
      'global:\n  scrape_interval: 5s\n  scrape_timeout: 6s\n',
      'prometheus.yml:3:3: global scrape timeout greater than scrape interval',
    ],
    ['no job name', 'scrape_configs:\n  - metrics_path: /x\n', 'prometheus.yml:2:5: job_name is empty'],
    [
      'a job name twice',
      'scrape_configs:\n  - job_name: a\n  - job_name: a\n',
      'prometheus.yml:3:5: found multiple scrape configs with job name "a"',
    ],
    [
      'an unknown relabel action',
      'scrape_configs:\n  - job_name: a\n    relabel_configs:\n      - action: drp\n',
      'prometheus.yml:4:17: unknown relabel action "drp"',
    ],
    [
      'a relabel rule without its target',
      'scrape_configs:\n  - job_name: a\n    relabel_configs:\n      - source_labels: [b]\n        action: lowercase\n',
      "prometheus.yml:5:9: relabel configuration for lowercase action requires 'target_label' value",
    ],
    [
      'a URL as a target',
      'scrape_configs:\n  - job_name: a\n    static_configs:\n      - targets: [http://x]\n',
      'prometheus.yml:3:5: "http://x" is not a valid hostname',
    ],
    [
      'a bad label name',
      'global:\n  metric_name_validation_scheme: legacy\n  external_labels:\n    a-b: c\n',
      'prometheus.yml:3:3: "a-b" is not a valid label name',
    ],
    [
      'text that is not YAML',
      'global: {\n',
      'prometheus.yml:2:1: yaml: Flow map in block collection must be sufficiently indented and end with a }',
    ],
    ['a scalar for the whole', 'hello\n', 'prometheus.yml:1:1: the document: expected a mapping'],
    ['an unknown anchor', 'global: *x\n', "prometheus.yml:1:9: yaml: unknown anchor 'x' referenced"],
  ])('%s', (_, text, message) => {
    expect(failure(text).split('\n').slice(0, message.split('\n').length).join('\n')).toContain(message);
  });

  it('gives up on a document that explodes', () => {
    const levels = Array.from(
      { length: 9 },
      (_, i) => `    l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join(', ')}]`,
    );
    const claims = `    l0: &l0 a\n${levels.join('\n')}\n`;
    const text = `scrape_configs:\n- job_name: a\n  oauth2:\n   client_id: x\n   token_url: y\n   claims:\n${claims}`;
    expect(failure(text)).toContain('yaml: document contains excessive aliasing');
  });

  it.each([
    ['everywhere', (depth: number) => `global: ${'['.repeat(depth)}${']'.repeat(depth)}\n`],
    [
      'where anything may stand',
      (depth: number) =>
        `scrape_configs:\n- job_name: a\n  oauth2: {client_id: x, token_url: y, claims: ${'{a: '.repeat(depth)}1${'}'.repeat(depth)}}\n`,
    ],
  ])('survives nesting %s', (_, text) => {
    for (const depth of [300, 3000, 50_000])
      expect(failure(text(depth))).toMatch(/exceeded max depth|expected a mapping/);
  });

  it.each([
    ['a merge', 'global: &a\n  <<: *a\n'],
    ['a list', 'rule_files: &a [*a]\n'],
    ['data', 'scrape_configs: [{job_name: a, oauth2: {client_id: x, token_url: y, claims: &a {b: *a}}}]\n'],
  ])('survives an anchor that contains itself in %s', (_, text) => {
    expect(failure(text)).toMatch(/^prometheus\.yml:\d+:\d+: /);
  });

  it('asks the caller about regular expressions, with the place', () => {
    const text = 'scrape_configs:\n  - job_name: a\n    relabel_configs:\n      - regex: (\n        target_label: b\n';
    const check = (regex: string): string => `error parsing regexp: ${regex}`;
    expect(() => parseConfig(text, 'f.yml', { checkRegex: check })).toThrow('f.yml:4:9: error parsing regexp: (');
  });
});

describe('values', () => {
  it('fills in Prometheus’ defaults for an empty file', () => {
    const { config, scrapeConfigs } = parse('');
    expect(scrapeConfigs).toEqual([]);
    expect(config.global).toMatchObject({
      scrape_interval: 60_000,
      scrape_timeout: 10_000,
      evaluation_interval: 60_000,
      metric_name_validation_scheme: 'utf8',
      metric_name_escaping_scheme: 'allow-utf-8',
    });
    expect(parse('global:\n').config.global).toEqual(config.global);
    expect(parse('global: {}\n').config.global).toEqual(config.global);
  });

  it('lets jobs inherit', () => {
    const { scrapeConfigs } = parse(
      'global: {scrape_interval: 5s, sample_limit: 7, body_size_limit: 1KB}\nscrape_configs:\n- job_name: a\n- {job_name: b, scrape_interval: 20s, sample_limit: 3}\n',
    );
    expect(
      scrapeConfigs.map((job) => [job.scrape_interval, job.scrape_timeout, job.sample_limit, job.body_size_limit]),
    ).toEqual([
      [5000, 5000, 7, 1024],
      [20_000, 5000, 3, 1024],
    ]);
    expect(scrapeConfigs[0]).toMatchObject({
      metrics_path: '/metrics',
      scheme: 'http',
      honor_timestamps: true,
      enable_compression: true,
      follow_redirects: true,
      scrape_protocols: ['OpenMetricsText1.0.0', 'OpenMetricsText0.0.1', 'PrometheusText1.0.0', 'PrometheusText0.0.4'],
    });
  });

  it('names protobuf first where native histograms are wanted, or start timestamps and no protocols', () => {
    const jobs = 'scrape_configs: [{job_name: a}, {job_name: b, scrape_protocols: [PrometheusText0.0.4]}]\n';
    const first = (text: string, change = (job: ScrapeConfig) => job) =>
      parse(text).scrapeConfigs.map((job) => change(job).scrape_protocols[0]);
    expect(first(jobs)).toEqual(['OpenMetricsText1.0.0', 'PrometheusText0.0.4']);
    expect(first(`global: {scrape_native_histograms: true}\n${jobs}`)).toEqual([
      'PrometheusProto',
      'PrometheusText0.0.4',
    ]);
    expect(first(jobs, preferProtobuf)).toEqual(['PrometheusProto', 'PrometheusText0.0.4']);
    const given = `global: {scrape_protocols: [OpenMetricsText1.0.0, PrometheusText0.0.4]}\n${jobs}`;
    expect(first(given, preferProtobuf)).toEqual(['OpenMetricsText1.0.0', 'PrometheusText0.0.4']);
  });

  it('reads YAML 1.1: yes, anchors, merge keys, octal text as text', () => {
    const { scrapeConfigs } = parse(
      'scrape_configs:\n- &a\n  job_name: 0755\n  honor_labels: yes\n  params: &p {x: [1, "2"]}\n- <<: *a\n  job_name: b\n  params: *p\n',
    );
    expect(scrapeConfigs.map((job) => [job.job_name, job.honor_labels, job.params])).toEqual([
      ['0755', true, { x: ['1', '2'] }],
      ['b', true, { x: ['1', '2'] }],
    ]);
  });

  it('turns bearer_token into authorization', () => {
    const [job] = parse('scrape_configs:\n- job_name: a\n  bearer_token: t\n').scrapeConfigs;
    expect(job?.authorization).toMatchObject({ type: 'Bearer', credentials: 't' });
    expect(job?.bearer_token).toBe('');
  });

  it('expands environment variables in external labels', () => {
    process.env.NARTHEX_TEST_LABEL = 'x';
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the file's own syntax
    const { config, warnings } = parse('global:\n  external_labels: {a: "${NARTHEX_TEST_LABEL}-$$-$NARTHEX_UNSET"}\n');
    expect(config.global.external_labels).toEqual({ a: 'x-$-' });
    expect(warnings.map((warning) => warning.message)).toEqual([
      'external label "a": environment variable NARTHEX_UNSET is empty',
    ]);
  });

  it('says what has no effect yet', () => {
    const { warnings } = parse(
      'rule_files: [a.yml]\nremote_write:\ntracing: {endpoint: x}\nscrape_configs:\n- job_name: a\n  http_sd_configs:\n  - url: http://x/\n',
    );
    expect(warnings.map(({ line, column, message }) => `${line}:${column} ${message}`)).toEqual([
      '6:3 http_sd_configs of job "a" is parsed but not active yet',
      '1:1 rule_files is parsed but not active yet',
      '3:1 tracing is parsed but not active yet',
    ]);
  });

  it('describes itself as a JSON schema', () => {
    const schema = JSON.parse(JSON.stringify(configType.json)) as {
      properties: Record<string, { items?: { properties: object } }>;
    };
    expect(Object.keys(schema.properties)).toContain('scrape_config_files');
    expect(Object.keys(schema.properties.scrape_configs?.items?.properties ?? {})).toHaveLength(80);
  });
});

describe('printing', () => {
  it('shows defaults, hides secrets, and can be read again', () => {
    const { config } = parse(
      'global: {external_labels: {b: "yes", a: "1"}}\nscrape_configs:\n- job_name: j\n  basic_auth: {username: u, password: p}\n  static_configs:\n  - targets: ["h:1"]\n    labels: {x: y}\n  relabel_configs:\n  - source_labels: [a, b]\n    target_label: c\n',
    );
    const text = configToYaml(config);
    expect(text).toBe(`global:
  scrape_interval: 1m
  scrape_timeout: 10s
  evaluation_interval: 1m
  external_labels:
    a: "1"
    b: "yes"
  metric_name_validation_scheme: utf8
  scrape_native_histograms: false
  extra_scrape_metrics: false
runtime:
  gogc: 75
  log_level: info
scrape_configs:
- job_name: j
  honor_timestamps: true
  track_timestamps_staleness: false
  scrape_interval: 1m
  scrape_timeout: 10s
  scrape_protocols:
  - OpenMetricsText1.0.0
  - OpenMetricsText0.0.1
  - PrometheusText1.0.0
  - PrometheusText0.0.4
  scrape_native_histograms: false
  always_scrape_classic_histograms: false
  convert_classic_histograms_to_nhcb: false
  metrics_path: /metrics
  scheme: http
  enable_compression: true
  metric_name_validation_scheme: utf8
  metric_name_escaping_scheme: allow-utf-8
  extra_scrape_metrics: false
  basic_auth:
    username: u
    password: <secret>
  follow_redirects: true
  enable_http2: true
  relabel_configs:
  - source_labels: [a, b]
    separator: ;
    target_label: c
    replacement: $1
    action: replace
  static_configs:
  - targets:
    - h:1
    labels:
      x: "y"
otlp:
  translation_strategy: UnderscoreEscapingWithSuffixes
  label_name_underscore_sanitization: true
  label_name_preserve_multiple_underscores: true
`);
    expect(configToYaml(parse(text).config)).toBe(text);
  });
});

describe('files', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'narthex-config-'));
    await writeFile(
      join(directory, 'a.inc.yml'),
      'scrape_configs:\n- job_name: included\n  bearer_token_file: token\n',
    );
    await writeFile(join(directory, 'b.bad.yml'), 'scrape_configs:\n- job_name: main\n');
  });
  afterAll(() => rm(directory, { recursive: true }));

  it('reads included files and joins paths with their directory', async () => {
    const main = join(directory, 'main.yml');
    await writeFile(
      main,
      'rule_files: [r/*.yml]\nscrape_config_files: ["*.inc.yml"]\nscrape_configs:\n- job_name: main\n',
    );
    const { config, scrapeConfigs } = await loadConfig(main);
    expect(config.rule_files).toEqual([join(directory, 'r/*.yml')]);
    expect(scrapeConfigs.map((job) => job.job_name)).toEqual(['main', 'included']);
    expect(scrapeConfigs[1]?.authorization?.credentials_file).toBe(join(directory, 'token'));
    expect(scrapeConfigs[1]?.scrape_interval).toBe(60_000);
  });

  it('points into the included file', async () => {
    const main = join(directory, 'main2.yml');
    await writeFile(main, 'scrape_config_files: ["*.bad.yml"]\nscrape_configs:\n- job_name: main\n');
    await expect(loadConfig(main)).rejects.toThrow(
      `${join(directory, 'b.bad.yml')}:2:3: found multiple scrape configs with job name "main", first found in main config file`,
    );
  });

  it('says that a file cannot be read', async () => {
    await expect(loadConfig(join(directory, 'none.yml'))).rejects.toThrow(/none\.yml:1:1: cannot be read: ENOENT/);
  });
});

describe('differences', () => {
  it('names jobs and sections', () => {
    const old = parse('scrape_configs: [{job_name: a}, {job_name: b}, {job_name: c}]\n');
    const next = parse(
      'global: {external_labels: {x: y}}\nscrape_configs: [{job_name: a}, {job_name: b, sample_limit: 1}, {job_name: d}]\n',
    );
    expect(diffConfig(old, next)).toEqual({
      jobs: { added: ['d'], removed: ['c'], changed: ['b'], unchanged: ['a'] },
      sections: ['global'],
    });
  });
});

describe('target groups', () => {
  it('reads YAML and JSON', () => {
    const group = [{ targets: ['a:1', 'b:2'], labels: { x: '1' } }];
    expect(parseTargetGroups('- targets: [a:1, b:2]\n  labels: {x: 1}\n', 'f.yml')).toEqual(group);
    expect(parseTargetGroupsJson('[{"targets": ["a:1", "b:2"], "labels": {"x": "1"}}]')).toEqual(group);
  });

  it.each([
    ['[{"targets": [1]}]', 'group 0: targets must be a list of strings'],
    ['[{"labels": {"a": 1}}]', 'group 0: labels must be an object of strings'],
    ['[{"target": []}]', 'group 0: unknown field "target"'],
    ['[null]', 'nil target group item found'],
    ['{}', 'expected a list of target groups'],
  ])('refuses %s', (text, message) => {
    expect(() => parseTargetGroupsJson(text)).toThrow(message);
  });
});
