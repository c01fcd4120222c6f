/** Certificates for a nats-server and its clients, of an authority of their own, by the openssl program. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Why no test can have some, if so. */
export const noOpenssl: string | false =
  spawnSync('openssl', ['version']).status === 0 ? false : 'there is no openssl (Debian: apt install openssl)';

export interface Certificate {
  certFile: string;
  keyFile: string;
  caFile: string;
}

/** Makes files in a folder. `server` is for 127.0.0.1, and for localhost, by which the client calls an address. */
export function certificates(folder: string): { server: Certificate; client: Certificate } {
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  };
  const request = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...request, '-subj', '/CN=authority', '-keyout', at('ca.key'), '-out', at('ca.pem'));
  writeFileSync(at('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  const signed = (name: string): Certificate => {
    openssl('req', ...request, '-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.req`));
    const authority = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('names')];
    openssl('x509', '-req', '-in', at(`${name}.req`), ...authority, '-out', at(`${name}.pem`));
    return { certFile: at(`${name}.pem`), keyFile: at(`${name}.key`), caFile: at('ca.pem') };
  };
  return { server: signed('server'), client: signed('client') };
}
