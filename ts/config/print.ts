/** A configuration as YAML again, the way Prometheus prints it: defaults filled in, secrets hidden. */

import { Document, isMap, isScalar, isSeq, visit } from 'yaml';
import { type Config, configType } from './config.ts';
import { type ScrapeConfig, scrapeConfigType } from './scrape-config.ts';

/** What `/api/v1/status/config` shows. */
export function configToYaml(config: Config): string {
  return print(configType.encode(config));
}

/** One scrape configuration as YAML. */
export function scrapeConfigToYaml(config: ScrapeConfig): string {
  return print(scrapeConfigType.encode(config));
}

/** Keys whose list stands on one line. */
const FLOW = new Set(['source_labels']);

function print(value: unknown): string {
  const document = new Document(value, { version: '1.1', aliasDuplicateObjects: false });
  visit(document, {
    Pair(_, pair) {
      const onOneLine = isScalar(pair.key) && FLOW.has(String(pair.key.value));
      if (isSeq(pair.value) && (onOneLine || pair.value.items.length === 0)) pair.value.flow = true;
      if (isMap(pair.value) && pair.value.items.length === 0) pair.value.flow = true;
    },
  });
  return document.toString({ lineWidth: 0, indentSeq: false, flowCollectionPadding: false, directives: false });
}
