/** Text in double quotes as Go's `%q` prints it, since Prometheus' messages are full of it. */

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

const NOT_PRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

/**
 * Quotes `text`. A lone low surrogate U+DC80…U+DCFF stands for a byte that is not UTF-8 (see
 * `ts/config/yaml.ts`) and is printed as `\xNN`.
 */
export function quote(text: string): string {
  let out = '"';
  for (const char of text) out += SHORT[char] ?? (NOT_PRINTABLE.test(char) ? escaped(char) : char);
  return `${out}"`;
}

function escaped(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
