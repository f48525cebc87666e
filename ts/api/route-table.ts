/** The routes there are, for the Allow header and for the names of handlers in metrics. */

interface Entry {
  pattern: RegExp;
  methods: Set<string>;
}

/** Paths with their methods. */
export class RouteTable {
  readonly #prefix: string;
  readonly #entries = new Map<string, Entry>();

  /** `prefix`: where all routes hang, `/` for the root. */
  constructor(prefix: string) {
    this.#prefix = prefix === '/' ? '' : prefix;
  }

  /** Adds a route; returns its handler name the first time its path is seen. */
  add(url: string, method: string | string[]): string | undefined {
    if (url.includes('*')) return undefined;
    const known = this.#entries.get(url);
    const entry = known ?? { pattern: pathPattern(url), methods: new Set(['OPTIONS']) };
    for (const name of [method].flat()) entry.methods.add(name);
    this.#entries.set(url, entry);
    return known === undefined ? this.handlerName(url) : undefined;
  }

  /** The methods that a path knows, sorted. */
  methods(path: string): string[] {
    const plain = path.replaceAll(/\/{2,}/g, '/').replace(/(.)\/$/, '$1');
    const methods = [...this.#entries.values()]
      .filter(({ pattern }) => pattern.test(plain))
      .map((entry) => entry.methods);
    return [...new Set(methods.flatMap((set) => [...set]))].sort();
  }

  /** The name under which metrics count a route: its path without the prefix. */
  handlerName(url: string | undefined): string | undefined {
    if (url === undefined || url.includes('*')) return undefined;
    const bare = url.startsWith(this.#prefix) ? url.slice(this.#prefix.length) : url;
    return bare === '' ? '/' : bare;
  }
}

function pathPattern(url: string): RegExp {
  const escaped = url.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/:[A-Za-z]+/g, '[^/]+');
  return new RegExp(`^${escaped}$`);
}
