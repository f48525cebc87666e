/** Discovery in Kubernetes: the section of the file only. */

import { quote } from '../../util/index.ts';
import { url } from '../go-url.ts';
import { checkHttpClient, httpClientFields, isDefaultHttpClient } from '../http-client.ts';
import { object } from '../object.ts';
import { bool, checkedText, Field, type Infer, list, path, type Report, text, texts } from '../schema.ts';

const ROLES: Record<string, readonly string[]> = {
  node: ['node'],
  pod: ['pod', 'node'],
  service: ['service'],
  endpoints: ['pod', 'service', 'endpoints'],
  endpointslice: ['pod', 'service', 'endpointslice'],
  ingress: ['ingress'],
};

const role = () =>
  checkedText(
    (value) => {
      if (Object.hasOwn(ROLES, value)) return value;
      throw new Error(`unknown Kubernetes SD role ${quote(value)}`);
    },
    { enum: Object.keys(ROLES) },
  );

const fields = {
  api_server: url(),
  role: role().always(),
  kubeconfig_file: path().always(),
  ...httpClientFields,
  namespaces: new Field(object({ own_namespace: bool().always(), names: texts().always() })),
  selectors: list(object({ role: role(), label: text(), field: text() })),
  attach_metadata: new Field(
    object({
      node: bool().always(),
      namespace: bool().always(),
      deployment: bool().always(),
      job: bool().always(),
      cronjob: bool().always(),
    }),
  ),
};

/** Where and what to look for in a Kubernetes cluster. */
export type KubernetesSdConfig = Infer<typeof fields>;

export const kubernetes = object(fields, {
  check(config, report) {
    const ownClient = !isDefaultHttpClient(config);
    if (config.role === '') {
      report('role missing (one of: pod, service, endpoints, endpointslice, node, ingress)');
      return;
    }
    let failed = false;
    checkHttpClient(config, (message, key) => {
      failed = true;
      report(message, key);
    });
    if (failed) return;
    const wrong = checkAccess(config, ownClient);
    if (wrong !== undefined) report(wrong);
    else checkSelectors(config, report);
  },
});

function checkAccess(config: KubernetesSdConfig, ownClient: boolean): string | undefined {
  const file = config.kubeconfig_file !== '';
  const server = config.api_server !== '';
  if (server && file) return "cannot use 'kubeconfig_file' and 'api_server' simultaneously";
  if (file && ownClient) return "cannot use a custom HTTP client configuration together with 'kubeconfig_file'";
  if (!server && ownClient) {
    return "to use custom HTTP client configuration please provide the 'api_server' URL explicitly";
  }
  if (server && config.namespaces.own_namespace) {
    return "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously";
  }
  if (file && config.namespaces.own_namespace) {
    return "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously";
  }
  return undefined;
}

function checkSelectors(config: KubernetesSdConfig, report: Report): void {
  const seen = new Set<string>();
  for (const selector of config.selectors) {
    const allowed = ROLES[config.role] ?? [];
    if (seen.has(selector.role)) report(`duplicated selector role: ${selector.role}`, 'selectors');
    else if (!allowed.includes(selector.role)) {
      report(`${config.role} role supports only ${allowed.join(', ')} selectors`, 'selectors');
    }
    seen.add(selector.role);
    const term = selector.field.split(',').find((part) => part !== '' && !/[^=!]*(?:==?|!=)/.test(part));
    if (term !== undefined) {
      report(`invalid selector: '${selector.field}'; can't understand '${term}'`, 'selectors');
    }
  }
}
