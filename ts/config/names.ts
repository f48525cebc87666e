/** Which label names are valid, by either of Prometheus' schemes. */

import { isValidUtf8 } from './yaml.ts';

/** `utf8` takes any text, `legacy` only `[a-zA-Z_][a-zA-Z0-9_]*`. */
export type ValidationScheme = 'utf8' | 'legacy';

/** Whether a label may be called this. */
export function isValidLabelName(name: string, scheme: ValidationScheme): boolean {
  return scheme === 'legacy' ? /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) : name !== '' && isValidUtf8(name);
}
