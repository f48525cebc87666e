/** `narthex tool check config`, printed as promtool prints it. */

import { ConfigError, formatIssue } from '../config/index.ts';
import { readConfig } from '../server/index.ts';

/** Checks the files, an agent's or not, one after the other; 1 where one is wrong. */
export async function checkConfig(files: readonly string[], isAgent = false): Promise<number> {
  let exitCode = 0;
  for (const file of files) {
    process.stdout.write(`Checking ${file}\n`);
    try {
      const { warnings } = await readConfig({ file }, isAgent);
      for (const warning of warnings) process.stdout.write(`  WARNING: ${formatIssue(warning)}\n`);
      process.stdout.write(` SUCCESS: ${file} is valid prometheus config file syntax\n\n`);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      process.stderr.write(`  FAILED: ${error.message}\n`);
      process.stdout.write('\n');
      exitCode = 1;
    }
  }
  return exitCode;
}
