/** Discovery in Amazon's cloud: one section per service, and one for all of them by role. */

import { duration, type Field, int, list, oneOf, secret, text, texts } from '../schema.ts';
import { filters, filterType, httpMechanism, port, refresh } from './common.ts';

const account = () => ({
  region: text().always(),
  endpoint: text().always(),
  access_key: text(),
  secret_key: secret(),
  profile: text(),
  role_arn: text(),
  external_id: text(),
});

const clustered = (name: string, concurrency: number, more: Record<string, Field<unknown>> = {}) =>
  httpMechanism(
    {
      ...account(),
      clusters: texts(),
      port: port(),
      refresh_interval: refresh(60),
      ...more,
      request_concurrency: int().default(concurrency),
    },
    (config, report) => {
      const { request_concurrency: limit } = config as { request_concurrency: number };
      if (limit <= 0) report(`${name}_sd: request_concurrency must be positive, got ${limit}`, 'request_concurrency');
    },
  );

export const ec2 = httpMechanism(
  { ...account(), refresh_interval: refresh(60), port: port(), filters: filters() },
  (config, report) => {
    if (config.filters.some((filter) => filter.values.length === 0)) {
      report('EC2 SD configuration filter values cannot be empty', 'filters');
    }
  },
);
export const lightsail = httpMechanism({ ...account(), refresh_interval: refresh(60), port: port() });
export const ecs = clustered('ecs', 20);
export const elasticache = clustered('elasticache', 10);
export const msk = clustered('msk', 10);
export const rds = clustered('rds', 10, { filters: filters() as Field<unknown> });

const ROLES = ['ec2', 'ecs', 'elasticache', 'lightsail', 'msk', 'rds'] as const;

export const aws = httpMechanism(
  {
    role: oneOf(ROLES, (role) => `unknown AWS SD role "${role}"`).always(),
    region: text(),
    endpoint: text(),
    access_key: text(),
    secret_key: secret(),
    profile: text(),
    role_arn: text(),
    external_id: text(),
    refresh_interval: duration().default(60_000),
    port: int(),
    filters: list(filterType),
    clusters: texts(),
  },
  (config, report) => {
    if (config.role === '') report('unknown AWS SD role ""', 'role');
  },
);
