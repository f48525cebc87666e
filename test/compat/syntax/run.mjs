#!/usr/bin/env node
/**
 * Gives Prometheus 3.16 and us the same texts of queries and lists every difference between the answers of format_query
 * and parse_query: printed forms, trees, and errors with their positions. The texts are random, and the
 * queries of the conformance scripts where these are there, as they are and damaged. Exits 1 where there is a difference.
 *
 * Usage: node test/compat/syntax/run.mjs [--texts=10000] [--seed=1] [--features=a,b]
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Random } from '../differential/random.mjs';
import { argumentsOf, withPair } from '../pair.mjs';
import { damage, text } from './texts.mjs';

const SHOWN_DIFFERENCES = 40;
const ASKED_AT_ONCE = 8;

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const options = argumentsOf(process.argv);
const wanted = Number(options.texts ?? 10_000);
const seed = Number(options.seed ?? 1);
const features = options.features ?? 'promql-experimental-functions,promql-binop-fill-modifiers';

await withPair('syntax', features, (theirs, ours, version) => {
  const texts = [...scriptQueries(), ...randomTexts()];
  console.log(`syntax: ${texts.length} texts, seed ${seed}, features ${features}, against ${version}`);
  return compare(theirs, ours, texts);
});

function* randomTexts() {
  const random = new Random(seed);
  for (let i = 0; i < wanted; i++) yield text(random);
}

/** The queries of the conformance scripts, each also damaged. */
function* scriptQueries() {
  const dir = join(process.env.NARTHEX_CONFORMANCE ?? join(root, '..', 'shared', 'conformance'), 'promqltest');
  if (!existsSync(dir)) {
    console.log('syntax: no conformance scripts');
    return;
  }
  const random = new Random(seed);
  for (const name of readdirSync(dir).filter((file) => file.endsWith('.test'))) {
    for (const line of readFileSync(join(dir, name), 'utf8').split('\n')) {
      const query = /^\s*eval\S*\s+(?:instant\s+at\s+\S+|range\s+from\s+\S+\s+to\s+\S+\s+step\s+\S+)\s+(.*)$/.exec(
        line,
      )?.[1];
      if (query === undefined) continue;
      yield query;
      yield damage(random, query);
    }
  }
}

async function compare(theirs, ours, texts) {
  const counts = { same: 0, different: 0, errors: 0, unable: 0 };
  let next = 0;
  const asker = async () => {
    while (next < texts.length) {
      const query = texts[next++];
      for (const path of ['/api/v1/format_query', '/api/v1/parse_query']) {
        const [expected, found] = await Promise.all([ask(theirs, path, query), ask(ours, path, query)]);
        if (expected.startsWith('400')) counts.errors++;
        // Prometheus has no JSON for a tree with an infinite fill value.
        if (expected.startsWith('500')) {
          counts.unable++;
          continue;
        }
        counts[expected === found ? 'same' : 'different']++;
        if (expected === found || counts.different > SHOWN_DIFFERENCES) continue;
        console.log(
          `\n${path} ${JSON.stringify(query)}\n  ${around(found, expected)}\n  expected ${around(expected, found)}`,
        );
      }
    }
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, asker));
  console.log(
    `syntax: ${counts.same} answers the same, ${counts.different} different (${counts.errors} errors), ${counts.unable} that Prometheus has no answer to`,
  );
  return counts.different === 0 ? 0 : 1;
}

async function ask(base, path, query) {
  const response = await fetch(base + path, { method: 'POST', body: new URLSearchParams({ query }) });
  const answer = await response.text();
  if (response.status === 500) return `500 ${answer}`;
  // Written once more: whether < is escaped is a matter of taste, the order of keys is not.
  return `${response.status} ${JSON.stringify(JSON.parse(answer))}`;
}

/** The part of one answer in which it begins to differ from the other. */
function around(answer, other) {
  let at = 0;
  while (at < answer.length && answer[at] === other[at]) at++;
  return answer.length < 400 ? answer : `…${answer.slice(Math.max(0, at - 100), at + 200)}`;
}
