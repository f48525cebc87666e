/** Through which proxy a URL is reached: by the configuration or the environment, as Go's httpproxy has it. */

import { BlockList, isIP } from 'node:net';
import { type Place, portOf } from './destination.ts';

/** What a configuration says of proxies. */
export interface ProxySettings {
  proxy_url: string;
  no_proxy: string;
  proxy_from_environment: boolean;
}

/** Variables of the environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Says through which proxy a place is reached; `undefined` for none. */
export function proxyRule(settings: ProxySettings, environment: Environment): (place: Place) => URL | undefined {
  if (settings.proxy_from_environment) return environmentRule(environment);
  const proxy = parseProxy(settings.proxy_url);
  if (!proxy) return () => undefined;
  if (settings.no_proxy === '') return () => proxy;
  const isExempt = proxyExemptions(settings.no_proxy);
  return (place) => (isExempt(place.hostname, portOf(place)) ? undefined : proxy);
}

function environmentRule(environment: Environment): (place: Place) => URL | undefined {
  const variable = (name: string): string => environment[name] || environment[name.toUpperCase()] || '';
  const http = parseProxy(variable('http_proxy'));
  const https = parseProxy(variable('https_proxy'));
  const isExempt = proxyExemptions(variable('no_proxy'));
  return (place) => {
    const proxy = place.protocol === 'https:' ? https : http;
    return proxy && !isExempt(place.hostname, portOf(place)) ? proxy : undefined;
  };
}

/** A proxy's URL; one without a scheme is HTTP. `undefined` where there is none, or none can be made of it. */
function parseProxy(text: string): URL | undefined {
  if (text === '') return undefined;
  if (/^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(text) && URL.canParse(text)) return new URL(text);
  return URL.canParse(`http://${text}`) ? new URL(`http://${text}`) : undefined;
}

interface Exemption {
  matches(host: string): boolean;
  port: string;
}

/**
 * Says whether a host is reached without a proxy, by a list of names with their subdomains, addresses (both perhaps
 * with a port) and networks, or `*`. This machine itself always is.
 */
export function proxyExemptions(list: string): (hostname: string, port: string) => boolean {
  const exemptions: Exemption[] = [];
  const networks = new BlockList();
  for (const entry of list.split(',').map((raw) => raw.trim().toLowerCase())) {
    if (entry === '*') return () => true;
    const [network = '', bits] = entry.split('/', 2);
    if (bits !== undefined && isIP(network) !== 0 && /^\d{1,3}$/.test(bits)) {
      if (Number(bits) <= (isIP(network) === 4 ? 32 : 128)) {
        networks.addSubnet(network, Number(bits), family(network));
        continue;
      }
    }
    const exemption = exemptionOf(entry);
    if (exemption) exemptions.push(exemption);
  }
  return (hostname, port) => {
    const host = hostname.toLowerCase().replace(/^\[|\]$/g, '');
    if (isLoopback(host) || (isIP(host) !== 0 && networks.check(host, family(host)))) return true;
    return exemptions.some((each) => (each.port === '' || each.port === port) && each.matches(host));
  };
}

function exemptionOf(entry: string): Exemption | undefined {
  const { host = entry, port = '' } =
    isIP(entry) === 0 ? (/^(?<host>\[[^\]]*\]|[^:]*):(?<port>.*)$/.exec(entry)?.groups ?? {}) : {};
  const name = host.replace(/^\[(.*)\]$/, '$1').replace(/^\*\./, '.');
  if (name === '') return undefined;
  if (isIP(name) !== 0) {
    const address = new BlockList();
    address.addAddress(name, family(name));
    return { port, matches: (other) => isIP(other) !== 0 && address.check(other, family(other)) };
  }
  if (name.startsWith('.')) return { port, matches: (other) => other.endsWith(name) };
  return { port, matches: (other) => other === name || other.endsWith(`.${name}`) };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
