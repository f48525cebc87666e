/** Which hosts are reached without the proxy, by Prometheus' `no_proxy`. */

import { BlockList, isIP } from 'node:net';

/** Says whether a URL's host is exempt: names with their subdomains, addresses, networks, `*`. */
export function proxyExemptions(list: string): (hostname: string, port: string) => boolean {
  const names: { name: string; port: string; suffixOnly: boolean }[] = [];
  const networks = new BlockList();
  let all = false;
  for (const raw of list.split(',')) {
    const entry = raw.trim().toLowerCase();
    const [network = '', bits] = entry.split('/', 2);
    if (entry === '*') all = true;
    else if (bits !== undefined && isIP(network) !== 0) networks.addSubnet(network, Number(bits), family(network));
    else if (isIP(entry) !== 0) networks.addAddress(entry, family(entry));
    else if (entry !== '') {
      const [host = '', port = ''] = entry.split(':', 2);
      const suffixOnly = host.startsWith('.') || host.startsWith('*.');
      names.push({ name: host.replace(/^\*?\./, ''), port, suffixOnly });
    }
  }
  return (hostname, port) => {
    const host = hostname.toLowerCase().replace(/^\[|\]$/g, '');
    if (all) return true;
    if (isIP(host) !== 0) return networks.check(host, family(host));
    return names.some(
      (entry) =>
        (entry.port === '' || entry.port === port) &&
        (host.endsWith(`.${entry.name}`) || (!entry.suffixOnly && host === entry.name)),
    );
  };
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
