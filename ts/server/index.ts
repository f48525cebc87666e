/**
 * The composition root: makes the engine, the scrape manager and the API one server. Nothing else
 * wires. It knows every part and holds no logic of any; the command line is ts/cli's.
 */
export { type ConfigSource, readConfig } from './config-source.ts';
export { ListenError } from './listener.ts';
export { createLogger, type LeveledLogger, type LogFormat, type LogLevel } from './log.ts';
export type { ServerOptions, StorageOptions, WebOptions } from './options.ts';
export { Server } from './server.ts';
export { narthexVersion, PROMETHEUS_VERSION } from './version.ts';
export { OptionError } from './web-address.ts';
