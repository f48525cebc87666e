#!/usr/bin/env node
/** Entry point of the program `narthex`: the bundle where there is one, from source the modules as they are. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Bundle } from './bundle.ts';

// Read by the core's allocator when it is loaded. A huge page that a query touches is cleared whole, 2 MiB for a few
// objects: without them queries are quicker, and memory is half in an idle server. Embedders decide for their process.
process.env.MIMALLOC_ALLOW_THP ??= '0';

const folder = fileURLToPath(new URL('../bundle', import.meta.url));
const { main } = existsSync(folder)
  ? (new Bundle(folder).load('program.cjs') as typeof import('./program.ts'))
  : await import('./program.ts');

// Output to files, pipes and terminals is written at once, so nothing is lost by leaving here.
process.exit(await main(process.argv.slice(2)));
