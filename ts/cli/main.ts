#!/usr/bin/env node
/** Entry point of the program `narthex`. */

import { main } from './program.ts';

process.exitCode = await main(process.argv.slice(2));
