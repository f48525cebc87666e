/** Remote read wired into the server; its code is loaded once a configuration asks for it. */

import type { LoadResult } from '../config/index.ts';
import type { RemoteReader } from '../core/index.ts';
import type { ReadStorage } from '../remote/index.ts';
import type { Clock, MetricFamily } from '../util/index.ts';
import { narthexVersion } from './version.ts';

export class Reading {
  readonly #options: { clock: Clock };
  #storage: ReadStorage | undefined;

  constructor(options: { clock: Clock }) {
    this.#options = options;
  }

  /** Takes a configuration; throws where it names a server twice, and keeps the one before. */
  async apply({ config }: LoadResult): Promise<void> {
    if (this.#storage === undefined) {
      if (config.remote_read.length === 0) return;
      const { clock } = this.#options;
      const { ReadStorage } = await import('../remote/index.ts');
      this.#storage = new ReadStorage({ clock, userAgent: `Narthex/${narthexVersion()}` });
    }
    this.#storage.applyConfig(config);
  }

  /** What queries are to be answered from besides the database; `undefined` for nothing. */
  reader(): RemoteReader | undefined {
    return this.#storage?.reader();
  }

  stop(): void {
    this.#storage?.close();
  }

  metrics(): MetricFamily[] {
    return this.#storage?.families() ?? [];
  }
}
