/**
 * Runs the bundled program up to its first answers, on nothing, and keeps beside the bundle what V8 compiled on the
 * way. Usage: node scripts/lib/code-cache.mjs DIST
 */
import { readdirSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What a server is asked first after a start. */
const PATHS = ['/-/ready', '/metrics', '/api/v1/query?query=up'];

const [dist] = process.argv.slice(2);
const { Bundle } = await import(pathToFileURL(join(dist, 'cli', 'bundle.js')));
const folder = join(dist, 'bundle');
const bundle = new Bundle(folder);
const { main } = bundle.load('program.cjs');

// The greeting says that the server is ready, and where.
process.stdout.write = (text) => {
  const url = /ready at (\S+)/.exec(text)?.[1];
  if (url === undefined) return true;
  askAll(url)
    .catch(() => {
      process.exitCode = 1;
    })
    .finally(() => process.kill(process.pid, 'SIGTERM'));
  return true;
};
const code = await main([
  'start',
  '--storage.tsdb.path=:memory:',
  '--web.listen-address=127.0.0.1:0',
  '--log.level=error',
]);
if (code !== 0 || process.exitCode === 1) throw new Error('the program did not start');
for (const name of readdirSync(folder)) if (name.endsWith('.cjs')) bundle.load(name);
bundle.writeCode();
process.exit(0);

async function askAll(url) {
  for (const path of PATHS) await ask(`${url}${path}`);
}

function ask(url) {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      response.resume().once('end', resolve);
    }).once('error', reject);
  });
}
