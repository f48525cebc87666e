/** What the service discovery sections have in common. */

import { checkHttpClient, type HttpClientConfig, httpClientFields } from '../http-client.ts';
import { type ObjectOptions, object } from '../object.ts';
import {
  duration,
  type Field,
  type Fields,
  type Infer,
  int,
  list,
  type Report,
  type Type,
  text,
  texts,
} from '../schema.ts';

/** A refresh interval with its default, printed where it is not zero. */
export const refresh = (seconds: number): Field<number> => duration().default(seconds * 1000);

/** A port with its default, always printed. */
export const port = (value = 80): Field<number> => int().default(value).always();

/** Name and values of a filter. */
export const filterType = object({ name: text().always(), values: texts().always() });

/** Filters by name, always printed. */
export const filters = () => list(filterType).always();

/** A mechanism that speaks HTTP: its own keys, the client's inline, and checks of both. */
export function httpMechanism<F extends Fields>(
  fields: F,
  check?: (value: Infer<F> & HttpClientConfig, report: Report) => void,
): Type<Infer<F & typeof httpClientFields>> {
  const options: ObjectOptions<F & typeof httpClientFields> = {
    check(value, report) {
      let failed = false;
      check?.(value as Infer<F> & HttpClientConfig, (message, key) => {
        failed = true;
        report(message, key);
      });
      if (!failed) checkHttpClient(value as HttpClientConfig, report);
    },
  };
  return object({ ...fields, ...httpClientFields } as F & typeof httpClientFields, options);
}
