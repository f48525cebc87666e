#!/usr/bin/env node
/** Entry point of the program `narthex`. */

import { main } from './program.ts';

// Output to files, pipes and terminals is written at once, so nothing is lost by leaving here.
process.exit(await main(process.argv.slice(2)));
