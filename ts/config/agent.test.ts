import { describe, expect, test } from 'vitest';
import { parseConfig } from './load.ts';

const ALERTING = 'alerting: {alertmanagers: [{static_configs: [{targets: [a]}]}]}\n';

describe('an agent’s configuration', () => {
  test.each([
    [ALERTING, 1, 'alerting'],
    ['alerting: {alert_relabel_configs: [{action: drop, source_labels: [a]}]}\n', 1, 'alerting'],
    ['global: {}\nrule_files: [a.yml]\n', 2, 'rule_files'],
    ['global: {}\n\nremote_read: [{url: "http://a"}]\n', 3, 'remote_read'],
    // One at a time, in this order.
    [`rule_files: [a.yml]\n${ALERTING}`, 2, 'alerting'],
  ])('%j', (text, line, key) => {
    const message = `a.yml:${line}:1: field ${key} is not allowed in agent mode`;
    expect(() => parseConfig(text, 'a.yml', { isAgent: true })).toThrow(
      new RegExp(`^${message.replaceAll('.', '\\.')}$`),
    );
    expect(() => parseConfig(text, 'a.yml')).not.toThrow();
  });

  test('takes what is empty', () => {
    const text = 'alerting: {}\nrule_files: []\nremote_read: []\nremote_write: [{url: "http://a"}]\n';
    expect(parseConfig(text, 'a.yml', { isAgent: true }).config.remote_write).toHaveLength(1);
  });
});
