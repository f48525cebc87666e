/** The file that tools take with `--http.config.file`: the keys of an HTTP client and nothing else. */

import { dirname, isAbsolute, join } from 'node:path';
import { ConfigError } from './errors.ts';
import { checkHttpClient, type HttpClientConfig, httpClientFields } from './http-client.ts';
import { object } from './object.ts';
import type { Decoding } from './schema.ts';
import { YamlSource } from './yaml.ts';

const httpFileType = object(httpClientFields, { check: checkHttpClient });

/**
 * Reads the text of such a file; relative paths in it are relative to it.
 * @throws ConfigError with the places of all mistakes
 */
export function parseHttpFile(content: string, file: string): HttpClientConfig {
  const source = new YamlSource(content, file);
  const decoding: Decoding = { source, checkRegex: () => undefined, places: new WeakMap() };
  const node = source.follow(source.root);
  const config = node ? httpFileType.decode(node, decoding, '') : httpFileType.initial();
  if (source.issues.length > 0) throw new ConfigError(source.issues);
  const directory = dirname(file);
  const relocate = (path: string): string => (path === '' || isAbsolute(path) ? path : join(directory, path));
  return httpFileType.relocate?.(config, relocate) ?? config;
}

/** The file's configuration where there is none: no credentials, redirects followed. */
export function defaultHttpClient(): HttpClientConfig {
  return httpFileType.initial();
}
