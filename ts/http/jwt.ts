/** The signed assertions of RFC 7523, for which a token endpoint gives a token. */

import { createPrivateKey, type KeyObject, randomUUID, sign } from 'node:crypto';

/** What an assertion is lived with. */
const LIFE_SECONDS = 600;

const HASHES = { RS256: 'sha256', RS384: 'sha384', RS512: 'sha512' } as const;

export interface AssertionOptions {
  /** PEM: PKCS 1 or PKCS 8. */
  privateKey: string;
  /** '' for none. */
  keyId: string;
  algorithm: keyof typeof HASHES;
  issuer: string;
  subject: string;
  audience: string;
  /** '' for none. */
  scope: string;
  /** Added to the claims, or put in their place. */
  claims: Readonly<Record<string, unknown>>;
}

/** An assertion for now. @throws Error in Go's words where the key is none */
export function assertion(options: AssertionOptions, nowMs: number): string {
  const key = rsaKey(options.privateKey);
  const issued = Math.floor(nowMs / 1000);
  const header = { alg: options.algorithm, ...(options.keyId !== '' && { kid: options.keyId }), typ: 'JWT' };
  const claims = {
    aud: options.audience,
    exp: issued + LIFE_SECONDS,
    iat: issued,
    iss: options.issuer,
    jti: randomUUID(),
    ...(options.scope !== '' && { scope: options.scope }),
    sub: options.subject,
    ...options.claims,
  };
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = sign(HASHES[options.algorithm], Buffer.from(signed), key);
  return `${signed}.${signature.toString('base64url')}`;
}

function rsaKey(pem: string): KeyObject {
  if (!/-----BEGIN [^-]+-----/.test(pem)) {
    throw new Error('invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key');
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw new Error('asn1: structure error: not a private key', { cause: error });
  }
  if (key.asymmetricKeyType !== 'rsa') throw new Error('key is not a valid RSA private key');
  return key;
}
