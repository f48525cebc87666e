import { describe, expect, it } from 'vitest';
import { parseForm } from './form.ts';
import { globalUrl } from './global-url.ts';
import { unescapeLabelName } from './label-name.ts';

describe('parseForm', () => {
  const cases: [string, string, string[]][] = [
    ['a=1&b=2&a=3', 'a', ['1', '3']],
    ['match%5B%5D=up%7Bjob%3D%22a%20b%22%7D', 'match[]', ['up{job="a b"}']],
    ['q=a+b%2Bc', 'q', ['a b+c']],
    ['q', 'q', ['']],
    ['q=1;2&q=3', 'q', ['3']],
    ['q=%zz&q=4', 'q', ['4']],
    ['q=%ff', 'q', ['\ufffd']],
    ['__proto__=x', '__proto__', ['x']],
    ['', 'q', []],
  ];
  it.each(cases)('reads %s', (text, name, values) => {
    expect(parseForm(text).all(name)).toEqual(values);
  });
});

describe('unescapeLabelName', () => {
  const cases: [string, string][] = [
    ['job', 'job'],
    ['U__http_2e_status', 'http.status'],
    ['U__a__b', 'a_b'],
    ['U___1f600_x', '\u{1f600}x'],
    ['U__a_zz_', 'U__a_zz_'],
    ['U__a_d800_', 'U__a_d800_'],
    ['U__a_2e', 'U__a_2e'],
    ['U__', ''],
  ];
  it.each(cases)('reads %s', (escaped, name) => {
    expect(unescapeLabelName(escaped)).toBe(name);
  });
});

describe('globalUrl', () => {
  const options = { externalUrl: new URL('https://example.org:8443/prom'), listenAddress: '0.0.0.0:9090' };
  const cases: [string, string][] = [
    ['http://localhost:9090/metrics', 'https://example.org:8443/metrics'],
    ['http://127.0.0.1:9100/metrics', 'http://example.org:9100/metrics'],
    ['http://[::1]:9100/metrics', 'http://example.org:9100/metrics'],
    ['http://node:9100/metrics', 'http://node:9100/metrics'],
    ['not a url', 'not a url'],
  ];
  it.each(cases)('of %s', (scrapeUrl, url) => {
    expect(globalUrl(scrapeUrl, options)).toBe(url);
  });
});
