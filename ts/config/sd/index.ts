/** The keys of all service discovery mechanisms, to be spread among the keys of a section. */

import { type Field, list, type Type } from '../schema.ts';
import { staticConfigs } from '../target-group.ts';
import { aws, ec2, ecs, elasticache, lightsail, msk, rds } from './aws.ts';
import { consul, dns, docker, dockerswarm, eureka, http, kuma, marathon, nerve, nomad, serverset } from './catalogs.ts';
import {
  azure,
  digitalocean,
  gce,
  hetzner,
  ionos,
  linode,
  oci,
  openstack,
  outscale,
  ovhcloud,
  puppetdb,
  scaleway,
  stackit,
  triton,
  uyuni,
  vultr,
} from './clouds.ts';
import { file } from './file.ts';
import { kubernetes } from './kubernetes.ts';

export type { FileSdConfig } from './file.ts';
export type { KubernetesSdConfig } from './kubernetes.ts';

const mechanism = <T>(name: string, type: Type<T>): Field<T[]> =>
  list(type, { nullMessage: `empty or null section in ${name}_sd_configs` });

/** Every mechanism's key with its list, in the order in which they are printed. */
export const sdFields = {
  aws_sd_configs: mechanism('aws', aws),
  azure_sd_configs: mechanism('azure', azure),
  consul_sd_configs: mechanism('consul', consul),
  digitalocean_sd_configs: mechanism('digitalocean', digitalocean),
  dns_sd_configs: mechanism('dns', dns),
  docker_sd_configs: mechanism('docker', docker),
  dockerswarm_sd_configs: mechanism('dockerswarm', dockerswarm),
  ec2_sd_configs: mechanism('ec2', ec2),
  ecs_sd_configs: mechanism('ecs', ecs),
  elasticache_sd_configs: mechanism('elasticache', elasticache),
  eureka_sd_configs: mechanism('eureka', eureka),
  file_sd_configs: mechanism('file', file),
  gce_sd_configs: mechanism('gce', gce),
  hetzner_sd_configs: mechanism('hetzner', hetzner),
  http_sd_configs: mechanism('http', http),
  ionos_sd_configs: mechanism('ionos', ionos),
  kubernetes_sd_configs: mechanism('kubernetes', kubernetes),
  kuma_sd_configs: mechanism('kuma', kuma),
  lightsail_sd_configs: mechanism('lightsail', lightsail),
  linode_sd_configs: mechanism('linode', linode),
  marathon_sd_configs: mechanism('marathon', marathon),
  msk_sd_configs: mechanism('msk', msk),
  nerve_sd_configs: mechanism('nerve', nerve),
  nomad_sd_configs: mechanism('nomad', nomad),
  oci_sd_configs: mechanism('oci', oci),
  openstack_sd_configs: mechanism('openstack', openstack),
  outscale_sd_configs: mechanism('outscale', outscale),
  ovhcloud_sd_configs: mechanism('ovhcloud', ovhcloud),
  puppetdb_sd_configs: mechanism('puppetdb', puppetdb),
  rds_sd_configs: mechanism('rds', rds),
  scaleway_sd_configs: mechanism('scaleway', scaleway),
  serverset_sd_configs: mechanism('serverset', serverset),
  stackit_sd_configs: mechanism('stackit', stackit),
  static_configs: staticConfigs(),
  triton_sd_configs: mechanism('triton', triton),
  uyuni_sd_configs: mechanism('uyuni', uyuni),
  vultr_sd_configs: mechanism('vultr', vultr),
};

const ACTIVE = new Set(['static_configs', 'file_sd_configs']);

/** Keys of mechanisms that are read and checked, but do not run yet. */
export const INACTIVE_SD_KEYS: readonly string[] = Object.keys(sdFields).filter((key) => !ACTIVE.has(key));
