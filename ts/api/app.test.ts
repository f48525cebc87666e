import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../util/index.ts';
import type { ApiContext, Readiness, RequestRecord } from './index.ts';
import { createApp } from './index.ts';

/** A server that is still replaying, or is stopping: there is no engine to ask. */
function contextWithoutEngine(state: { readiness: Readiness; answers: RequestRecord[] }): ApiContext {
  return {
    options: {
      headerBytesMax: 1024 * 1024,
      routePrefix: '/prom',
      externalUrl: new URL('http://example.org/prom'),
      listenAddress: '127.0.0.1:9090',
      corsOrigin: /^(?:.*)$/s,
      enableLifecycle: true,
      enableAdminApi: false,
      enableRemoteWriteReceiver: false,
      remoteWriteMessages: [],
      enableOtlpReceiver: false,
      remoteRead: { sampleLimit: 0, concurrentLimit: 10, maxBytesInFrame: 1_048_576 },
      pageTitle: '<title>',
      isAgent: false,
    },
    flags: { 'web.page-title': '<title>' },
    buildInfo: {
      version: '3.16.0',
      revision: '',
      branch: '',
      buildUser: '',
      buildDate: '',
      goVersion: '',
      narthexVersion: '0.0.0',
      nodeVersion: '',
    },
    targets: {
      pools: () => [],
      poolConfigYaml: () => undefined,
      active: () => new Map(),
      dropped: () => new Map(),
      droppedCounts: () => ({}),
    },
    clock: new ManualClock(),
    readiness: () => state.readiness,
    engine: () => undefined,
    walReplay: () => ({ min: 2, max: 9, current: 5 }),
    configYaml: () => 'global: {}\n',
    externalLabels: () => ({}),
    runtimeInfo: () => {
      throw new Error('not asked for here');
    },
    metricsText: async () => 'prometheus_ready 0\n',
    reload: () => Promise.reject(new Error('file.yml:1:1: wrong')),
    quit: () => false,
    onRoute: () => undefined,
    onAnswer: (record) => {
      state.answers.push(record);
    },
    queryCeilings: () => undefined,
    scrapeIntervalMs: () => 15_000,
    remoteReader: () => undefined,
    addMetrics: () => undefined,
    onInternalError: () => undefined,
  };
}

const state: { readiness: Readiness; answers: RequestRecord[] } = { readiness: 'starting', answers: [] };
let app: Awaited<ReturnType<typeof createApp>>;
beforeAll(async () => {
  app = await createApp(contextWithoutEngine(state));
});
afterAll(() => app.close());

describe('before the server is ready', () => {
  it.each(['/-/ready', '/api/v1/query?query=1', '/api/v1/targets', '/federate'])('%s is 503', async (path) => {
    state.readiness = 'starting';
    const answer = await app.inject(`/prom${path}`);
    expect([answer.statusCode, answer.body]).toEqual([503, 'Service Unavailable']);
    expect(answer.headers['x-prometheus-stopping']).toBe('false');
  });

  it('says so when it is stopping', async () => {
    state.readiness = 'stopping';
    expect((await app.inject('/prom/-/ready')).headers['x-prometheus-stopping']).toBe('true');
  });

  it.each(['/-/healthy', '/metrics', '/version', '/'])('%s answers', async (path) => {
    expect((await app.inject(`/prom${path}`)).statusCode).toBe(200);
  });

  it('tells how far the replay is', async () => {
    const answer = await app.inject('/prom/api/v1/status/walreplay');
    expect(answer.json()).toEqual({ status: 'success', data: { min: 2, max: 9, current: 5 } });
  });
});

describe('under a prefix', () => {
  it('leads there from the root', async () => {
    const answer = await app.inject('/');
    expect([answer.statusCode, answer.headers.location]).toEqual([302, '/prom']);
  });

  it('leads from /graph to /query', async () => {
    expect((await app.inject('/prom/graph?g0.expr=up')).headers.location).toBe('/prom/query?g0.expr=up');
  });

  it('takes a slash too many', async () => {
    expect((await app.inject('/prom//-/healthy/')).statusCode).toBe(200);
  });

  it('knows nothing outside', async () => {
    expect((await app.inject('/-/healthy')).json()).toMatchObject({ status: 'error', errorType: 'not_found' });
  });

  it('escapes what it puts into the page', async () => {
    const { body } = await app.inject('/prom/');
    expect(body).toContain('<title>&lt;title&gt;</title>');
    expect(body).toContain('data-base="/prom"');
  });

  it('counts answers by route, without the prefix', async () => {
    await app.inject('/prom/api/v1/label/job/values');
    await app.inject('/prom/nothing-here');
    const handlers = state.answers.map((record) => record.handler);
    expect(handlers.at(-1)).toBe('/api/v1/label/:name/values');
    expect(handlers).toContain('/-/healthy');
  });
});

describe('lifecycle', () => {
  it('says why a reload failed', async () => {
    const answer = await app.inject({ method: 'POST', url: '/prom/-/reload' });
    expect([answer.statusCode, answer.body]).toEqual([500, 'failed to reload config: file.yml:1:1: wrong\n']);
  });

  it('says that it is ending already', async () => {
    const answer = await app.inject({ method: 'PUT', url: '/prom/-/quit' });
    expect(answer.body).toBe('Termination already in progress.');
  });
});
