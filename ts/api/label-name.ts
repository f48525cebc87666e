/** Label names in paths, in the escaping scheme `values` (Prometheus' UTF-8 escaping, `U__`). */

const MAX_CODE_POINT_DIGITS = 6;

/** Takes the escaping off a name that starts with `U__`; what is not escaped properly stays as it is. */
export function unescapeLabelName(name: string): string {
  if (!name.startsWith('U__')) return name;
  let unescaped = '';
  for (let i = 3; i < name.length; i++) {
    if (name[i] !== '_') {
      unescaped += name[i];
      continue;
    }
    const end = name.indexOf('_', i + 1);
    if (end < 0) return name;
    const char = end === i + 1 ? '_' : codePoint(name.slice(i + 1, end));
    if (char === undefined) return name;
    unescaped += char;
    i = end;
  }
  return unescaped;
}

function codePoint(hex: string): string | undefined {
  if (hex.length > MAX_CODE_POINT_DIGITS || !/^[0-9a-fA-F]+$/.test(hex)) return undefined;
  const code = Number.parseInt(hex, 16);
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  return code > 0x10ffff || isSurrogate ? undefined : String.fromCodePoint(code);
}
