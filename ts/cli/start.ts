/** What `narthex start` runs where no flag says otherwise, and what it tells the user. */

import type { StartOptions } from './run-server.ts';

/** The configuration that comes with the program: it scrapes itself. */
function embeddedConfig(address: string): string {
  return `global:
  scrape_interval: 5s
scrape_configs:
  - job_name: narthex
    static_configs:
      - targets: ['${address}']
`;
}

const DEFAULT_ADDRESS = '127.0.0.1:9090';

export const startOptions: StartOptions = {
  listenAddress: DEFAULT_ADDRESS,
  storagePath: 'data',
  embeddedConfig,
  greeting: ({ url, dataDir, config }) => {
    const query = `curl -s '${url}/api/v1/query?query=up'`;
    return [
      '',
      `  Narthex is ready at ${url}`,
      `  data       ${dataDir}`,
      `  config     ${config}`,
      `  try        ${query}`,
      '',
      '',
    ].join('\n');
  },
};
