#!/usr/bin/env node
/**
 * The crash, fault and damage suites in full: every step of many runs fails or goes down, files of each kind are damaged
 * many times, and a real process is killed at least 200 times. About ten
 * minutes on two cores. `--seed N` begins at another seed, `--seeds N` takes so many; both are printed, and the same
 * ones give the same run, moments of real kills apart. Exits 1 where a step failed.
 */
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runSteps } from './lib/steps.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '20' },
    kills: { type: 'string', default: '200' },
  },
});
const seed = number('seed');
const seeds = number('seeds');
const kills = number('kills');
/** For each fuzz target: about a minute in all. */
const inputs = 10_000;
console.log(`torture: --seed ${seed} --seeds ${seeds} --kills ${kills}`);

const killEnv = { NARTHEX_TORTURE_KILLS: `${kills}`, NARTHEX_TORTURE_SEED: `${seed}` };

const steps = [
  { name: 'the program is built', run: () => command('node', ['scripts/prepare.mjs'], {}) },
  {
    name: `every step of ${seeds} runs fails or goes down`,
    run: () => suite('crashes', { NARTHEX_TORTURE: `${seeds}:${seed}` }),
  },
  {
    name: `${inputs} damaged inputs for each reader of files`,
    run: () => suite('fuzz', { NARTHEX_TORTURE_FUZZ: `${inputs}` }),
  },
  {
    name: `${inputs} texts for the parser of PromQL and as many queries over random series`,
    run: () => suite('fuzz', { NARTHEX_TORTURE_FUZZ: `${inputs}`, NARTHEX_TORTURE_SEED: `${seed}` }, 'testkit'),
  },
  { name: '500 damages to files of each kind', run: () => suite('damage', { NARTHEX_TORTURE_DAMAGE: '500' }) },
  {
    name: `${kills} kills of a database's process`,
    run: () => suite('kill', killEnv),
  },
  {
    name: `${kills} kills of the whole server during ingest, compaction and retention`,
    run: () => command('npx', ['vitest', 'run', 'test/crash/remote-write.test.ts'], killEnv, 3_600_000),
  },
];

process.exitCode = (await runSteps('torture', steps)) ? 0 : 1;

function number(name) {
  const n = Number(values[name]);
  if (!Number.isInteger(n) || n < 1) throw new Error(`--${name}: not a positive number: ${values[name]}`);
  return n;
}

/** Runs a test file of a crate. */
function suite(name, env, crate = 'tsdb') {
  return command('cargo', ['test', '--locked', '-p', crate, '--test', name, '--', '--nocapture'], env);
}

function command(program, args, env, timeout = 1_800_000) {
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: 'inherit',
    timeout,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`exit ${status}`);
  return undefined;
}
