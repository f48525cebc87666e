#!/usr/bin/env node
/**
 * Asks Prometheus 3.16 and us for queries with random parameters, many of them wrong, as GET and as forms, and lists
 * every difference in status, content type and body. Exits 1 where there is one.
 *
 * Usage: node test/compat/query-api/run.mjs [--requests=5000] [--seed=1]
 */
import { Random } from '../differential/random.mjs';
import { argumentsOf, withPair } from '../pair.mjs';

const SHOWN_DIFFERENCES = 40;

const options = argumentsOf(process.argv);
const wanted = Number(options.requests ?? 5000);
const seed = Number(options.seed ?? 1);

const broken = ['', 'x', ' ', '0x10', '1_0', '--1', '1e', '5mm', '٣', '%', '1,5', '+', '1 '];
const numbers = [
  '0',
  '-0',
  '1',
  '-1',
  '1.5',
  '.5',
  '1e3',
  '1e400',
  '-1e400',
  'NaN',
  'Inf',
  '-Inf',
  '+1',
  'inf',
  'Infinity',
  '0x1p4',
];
const times = [
  ...[
    '1767225600',
    '1767225600.0567',
    '1767225600.9999',
    '-62135596800',
    '-1.0005',
    '253402300800',
    '9223372036854775',
    '9223372036854776',
  ],
  ...[
    '292273086-05-16T16:47:06Z',
    '-292273055-05-16T16:47:06Z',
    '2026-01-01T00:00:00Z',
    '2026-01-01T00:00:00.123456789+02:00',
  ],
  ...[
    '2026-01-01T00:00:00',
    '2026-1-1T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-01-01t00:00:00z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:00,5Z',
  ],
];
/** No step below a millisecond, by which Prometheus divides as by zero, and no timeout so short that luck decides. */
const durations = ['1s', '5m', '1h30m', '0s', '-5m', '1ms', '1y', '300y', '100000y', '30', '1m1h', '5m5m', '1d12h'];
const queries = [
  ...[
    '1',
    'vector(1)',
    '"a"',
    'time()',
    'NaN',
    '-Inf',
    'vector(1) or label_replace(vector(2), "a", "b", "", "")',
    'up',
    'up[5m]',
    'vector(time())[1m:10s]',
  ],
  ...[
    'vector(NaN)',
    '1 / 0',
    'vector(-1/0)',
    'sum(',
    '',
    ' ',
    'a b',
    'vector(1) + on() vector("a")',
    'start()',
    'x{a=~"("}',
    '"\\n<&>"',
    'vector(1e300*1e10)',
  ],
  ...[
    'label_replace(vector(1), "é", "→", "", "")',
    'vector(0.1+0.2)',
    'vector(1e21)',
    'vector(1e-7)',
    'absent(nosuch{a="b"})',
    'sort_desc(vector(1))',
  ],
];
/** Prometheus counts nanoseconds: what lies beyond 2262, or is not finite, becomes some other time there. */
const near = (list) => list.filter((t) => !/inf|nan/i.test(t) && !(Math.abs(Number(t)) > 9e9));

const parameters = {
  time: near([...times, ...numbers, ...broken]),
  start: near([...times, ...numbers, '1767225600', '1767225600', '0']),
  end: near([...times, ...numbers, '1767225660', '1767225700', '60']),
  step: [...durations, ...numbers, ...broken, '10', '10'],
  timeout: [...durations, ...numbers, ...broken],
  lookback_delta: [...durations, ...numbers, ...broken],
  limit: [...numbers, ...broken, '2', '18446744073709551616'],
  stats: ['', 'x', 'all', 'true'],
  nosuch: ['1'],
};

function request(random) {
  const isRange = random.chance(0.6);
  const given = new URLSearchParams();
  const put = (name) => given.append(name, random.pick(parameters[name]));
  if (!random.chance(0.05)) given.append('query', random.pick(queries));
  for (const name of isRange ? ['start', 'end', 'step'] : ['time']) if (!random.chance(0.05)) put(name);
  // Mostly right, so that what comes behind the first mistake is looked at, too.
  if (isRange && random.chance(0.6)) {
    given.set('start', '1767225600');
    given.set('end', random.pick(['1767225600', '1767225660', '1767225661.5', '1767236600', '1767236601']));
    if (random.chance(0.7)) given.set('step', random.pick(['1', '15s', '0.5', '1m', '1h', '7', '100000y']));
  } else if (!isRange && random.chance(0.5)) given.set('time', '1767225600');
  for (const name of ['timeout', 'lookback_delta', 'limit', 'stats', 'nosuch']) if (random.chance(0.15)) put(name);
  // Given twice, the first counts.
  if (random.chance(0.05)) put(random.pick(Object.keys(parameters)));
  const path = `/api/v1/${isRange ? 'query_range' : 'query'}`;
  if (random.chance(0.6)) return { path: `${path}?${given}` };
  const inQuery = new URLSearchParams(random.chance(0.3) ? [['limit', random.pick(parameters.limit)]] : []);
  // Of other media types a body is no form, which we say and Prometheus does not.
  const type = random.chance(0.1) ? 'application/x-www-form-urlencoded; charset=utf-8' : undefined;
  return { path: inQuery.size > 0 ? `${path}?${inQuery}` : path, form: given.toString(), type };
}

async function ask(base, { path, form, type }) {
  const headers = { 'content-type': type ?? 'application/x-www-form-urlencoded' };
  const response = await fetch(
    base + path,
    form === undefined ? {} : { method: 'POST', headers, body: Buffer.from(form) },
  );
  return `${response.status} ${response.headers.get('content-type')} ${settled(await response.text())}`;
}

/** The body without how long things took, and what time it is where the question does not say. */
function settled(body) {
  try {
    const answer = JSON.parse(body);
    if (answer.data?.stats) answer.data.stats.timings = Object.keys(answer.data.stats.timings);
    return JSON.stringify(answer).replace(/(\[|,)(1[78]\d{8}(\.\d+)?|"1[78]\d{8}(\.\d+)?")/g, (all) =>
      Math.abs(Number(all.replace(/[[,"]/g, '')) * 1000 - Date.now()) < 5000 ? 'now' : all,
    );
  } catch {
    return body;
  }
}

await withPair('query-api', 'promql-experimental-functions', async (theirs, ours, version) => {
  console.log(`query-api: ${wanted} requests, seed ${seed}, against ${version}`);
  const random = new Random(seed);
  const counts = { same: 0, different: 0, errors: 0 };
  for (let i = 0; i < wanted; i++) {
    const asked = request(random);
    const [expected, found] = await Promise.all([ask(theirs, asked), ask(ours, asked)]);
    if (!expected.startsWith('200')) counts.errors++;
    counts[expected === found ? 'same' : 'different']++;
    if (expected === found || counts.different > SHOWN_DIFFERENCES) continue;
    console.log(
      `\n${asked.path} ${asked.form ?? ''} ${asked.type ?? ''}\n  ${found.slice(0, 400)}\n  expected ${expected.slice(0, 400)}`,
    );
  }
  console.log(`query-api: ${counts.same} answers the same, ${counts.different} different (${counts.errors} errors)`);
  return counts.different === 0 ? 0 : 1;
});
