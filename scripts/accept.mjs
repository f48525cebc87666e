#!/usr/bin/env node
/**
 * Runs the acceptance of one stage of the project and prints a table; exit 1 where a step fails.
 *
 * Usage: npm run accept -- STAGE [STEP …]   (without a step, all of them; `--list` names them)
 */
import { existsSync, readdirSync } from 'node:fs';
import { runSteps } from './lib/steps.mjs';

const folder = new URL('./accept/', import.meta.url);
const stages = readdirSync(folder)
  .filter((name) => name.endsWith('.mjs'))
  .map((name) => name.slice(0, -'.mjs'.length));
const [stage, ...rest] = process.argv.slice(2);

if (!stage || !existsSync(new URL(`${stage}.mjs`, folder))) {
  console.error(`Usage: npm run accept -- STAGE [STEP …]; a stage is one of: ${stages.join(', ')}.`);
  process.exit(1);
}

const { steps } = await import(new URL(`${stage}.mjs`, folder).href);
if (rest.includes('--list')) {
  for (const { name } of steps) console.log(name);
} else {
  const unknown = rest.filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) {
    console.error(`${stage} has no step ${unknown.join(', ')}; it has: ${steps.map(({ name }) => name).join(', ')}.`);
    process.exit(1);
  }
  const chosen = rest.length === 0 ? steps : steps.filter(({ name }) => rest.includes(name));
  process.exitCode = (await runSteps(`accept ${stage}`, chosen)) ? 0 : 1;
}
