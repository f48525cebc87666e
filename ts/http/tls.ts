/** TLS as a client: certificates and keys, read again when their files change, and made into a context once. */

import { X509Certificate } from 'node:crypto';
import { accessSync, constants, readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext, type SecureVersion } from 'node:tls';
import type { TlsConfig } from '../config/index.ts';
import { readSecret, type Secret, type SecretFiles, secretOf } from './secrets.ts';

/** Where systems keep the certificates they trust, in the order in which Go looks. */
const SYSTEM_ROOTS = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** What connections are made with. The same object until something of it changes. */
export interface TlsMaterial {
  secureContext: SecureContext;
  rejectUnauthorized: boolean;
  /** '' for that of the URL. */
  serverName: string;
}

export class TlsSettings {
  readonly #config: TlsConfig;
  readonly #ca: Secret | undefined;
  readonly #cert: Secret | undefined;
  readonly #key: Secret | undefined;
  readonly #isFixed: boolean;
  #texts: readonly string[] | undefined;
  #material: TlsMaterial | undefined;

  constructor(config: TlsConfig, files: SecretFiles) {
    this.#config = config;
    this.#ca = secretOf(files, config.ca, config.ca_file, config.ca_ref);
    this.#cert = secretOf(files, config.cert, config.cert_file, config.cert_ref);
    this.#key = secretOf(files, config.key, config.key_file, config.key_ref);
    this.#isFixed = [this.#ca, this.#cert, this.#key].every((secret) => secret?.isFixed ?? true);
  }

  /** The material where no file can change it, and it was made once. */
  get fixed(): TlsMaterial | undefined {
    return this.#isFixed ? this.#material : undefined;
  }

  /** The material as the files have it now; rejects in Prometheus' words where there is none to be had. */
  async current(): Promise<TlsMaterial> {
    const texts = await Promise.all([
      readSecret(this.#ca, 'unable to read CA cert'),
      readSecret(this.#cert, 'unable to read client cert'),
      readSecret(this.#key, 'unable to read client key'),
    ]);
    if (this.#material && texts.every((text, i) => text === this.#texts?.[i])) return this.#material;
    this.#material = this.#make(...texts);
    this.#texts = texts;
    return this.#material;
  }

  #make(ca: string, cert: string, key: string): TlsMaterial {
    const { min_version: min, max_version: max, insecure_skip_verify: skips, server_name: serverName } = this.#config;
    if (min !== '' && max !== '' && max < min) {
      const rule = 'must be greater than or equal to tls_config.min_version if both are specified';
      throw new Error(`tls_config.max_version ${rule}`);
    }
    if (this.#ca && !works(() => new X509Certificate(ca)))
      throw new Error(`unable to use specified CA cert ${this.#ca.description}`);
    if (this.#cert && this.#key && !works(() => createSecureContext({ cert, key }))) {
      const names = `(${this.#cert.description}) & key (${this.#key.description})`;
      throw new Error(`unable to use specified client cert ${names}: tls: not a certificate and its key`);
    }
    const old = [min, max].some((version) => version === 'TLS10' || version === 'TLS11');
    const secureContext = createSecureContext({
      ca: ca || (skips ? undefined : systemRoots()),
      cert: cert || undefined,
      key: key || undefined,
      minVersion: versionOf(min) ?? 'TLSv1.2',
      maxVersion: versionOf(max) ?? 'TLSv1.3',
      // OpenSSL has switched what is older off, beyond asking for it.
      ...(old && { ciphers: 'DEFAULT@SECLEVEL=0' }),
    });
    return { secureContext, rejectUnauthorized: !skips, serverName };
  }
}

function works(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}

function versionOf(name: string): SecureVersion | undefined {
  const match = /^TLS1([0-3])$/.exec(name);
  if (!match) return undefined;
  return (match[1] === '0' ? 'TLSv1' : `TLSv1.${match[1]}`) as SecureVersion;
}

let roots: { text: string | undefined } | undefined;

/** The certificates that this system trusts; `undefined`, and Node's own count, where it has no such file. */
function systemRoots(): string | undefined {
  roots ??= { text: readRoots([process.env.SSL_CERT_FILE ?? '', ...SYSTEM_ROOTS]) };
  return roots.text;
}

function readRoots(paths: readonly string[]): string | undefined {
  const found = paths.find((path) => path !== '' && works(() => accessSync(path, constants.R_OK)));
  return found === undefined ? undefined : readFileSync(found, 'utf8');
}
