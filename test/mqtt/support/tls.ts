/** A certificate for localhost and 127.0.0.1 that signs itself, of no worth outside of tests; valid for a hundred years. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cleaner } from '../../support/server.js';

export const cert = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUdqV68Bgoub7VY/1TxQsKHLUJ7jowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDA2MzAxOFoYDzIxMjYxMDMx
MDYzMDE4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT77H4hpv72wo6SNyhdObbSBwVRu401LePd8TbF/lAVqqzI8SXChjZ8
yibsIL87eS73ofkDzKzAywC96K2PlUj1o28wbTAdBgNVHQ4EFgQUEhvTxld7omwX
QX6v5C5WCgDyMtUwHwYDVR0jBBgwFoAUEhvTxld7omwXQX6v5C5WCgDyMtUwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIhAN7X4+HUtn8abY5dpEVnqpPraCMbGe759OgOjoQGUd08AiBa
6jqcYkyNW5nh/YdUlMR80KPRGrO+KRi947TTLlTxkg==
-----END CERTIFICATE-----
`;

const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgornLsaBWptpthoxb
tF+oasBzpHZoSkedzDC7rKPpH/ehRANCAAT77H4hpv72wo6SNyhdObbSBwVRu401
LePd8TbF/lAVqqzI8SXChjZ8yibsIL87eS73ofkDzKzAywC96K2PlUj1
-----END PRIVATE KEY-----
`;

/** Writes both as files, as the configuration wants them. */
export function tlsFiles(t: Cleaner): { cert: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-tls-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key);
  return files;
}
