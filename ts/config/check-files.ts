/** What a configuration needs besides itself: rule files, certificates and credentials that exist. */

import { access, constants } from 'node:fs/promises';
import { quote } from '../util/index.ts';
import { glob } from './glob.ts';
import type { HttpClientConfig } from './http-client.ts';
import type { LoadResult } from './load.ts';

/** Says, in Prometheus' words, which files that a loaded configuration names are not there. */
export async function checkFiles({ config, scrapeConfigs }: LoadResult): Promise<string[]> {
  const wrong: string[] = [];
  for (const pattern of config.rule_files) {
    const found = await glob(pattern);
    if (found.length === 0 && !/[*?[]/.test(pattern))
      wrong.push(`${quote(pattern)} does not point to an existing file`);
  }
  const clients: HttpClientConfig[] = scrapeConfigs.flatMap((scrape) => [scrape, ...scrape.kubernetes_sd_configs]);
  for (const client of [...clients, ...config.alerting.alertmanagers]) wrong.push(...(await checkClient(client)));
  return wrong;
}

async function checkClient(client: HttpClientConfig): Promise<string[]> {
  const wrong: string[] = [];
  const check = async (what: string, path: string | undefined): Promise<void> => {
    if (!path) return;
    try {
      await access(path, constants.R_OK);
    } catch {
      wrong.push(`error checking ${what} ${quote(path)}: stat ${path}: no such file or directory`);
    }
  };
  await check('authorization credentials or bearer token file', client.authorization?.credentials_file);
  await check('client cert file', client.tls_config.cert_file);
  await check('client key file', client.tls_config.key_file);
  return wrong;
}
