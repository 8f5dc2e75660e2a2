/** Certificates for localhost and 127.0.0.1 that sign themselves, of no worth outside of tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cleaner } from './server.js';

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

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** A pair that is valid for a hundred years, as `renewed` is. */
export const first: Pair = { cert, key };

export const renewed: Pair = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBlzCCAT2gAwIBAgIUKaIqIPRhEDP9kPiX3neR5/6plGgwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHcmVuZXdlZDAgFw0yNjExMjUxOTI3MzlaGA8yMTI2MTEwMTE5
MjczOVowEjEQMA4GA1UEAwwHcmVuZXdlZDBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABDLLqRjsS1GGdOdJ6SAWwg6neNRmrpI0zVllmphepW3ZWddzJUWMr63FamXE
QsTiyl4UiYgJE9Jt/Te8eJr3DfejbzBtMB0GA1UdDgQWBBSAx7hHmdZlOAYJ/utz
LCO/6EVZ7zAfBgNVHSMEGDAWgBSAx7hHmdZlOAYJ/utzLCO/6EVZ7zAPBgNVHRMB
Af8EBTADAQH/MBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAKBggqhkjOPQQD
AgNIADBFAiEA8tMZhWGkf4zk5s9UxVxKsymIlaruyXowVKFcXM+VjewCICCAN3tL
LvkSEBW6WfoYiMLCSfbgUXV/ef/xU0HW2gW+
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJoKU0jMBDmJjjOk5
fMPFhJLmujiYQ7Dp1WBeCxVMztGhRANCAAQyy6kY7EtRhnTnSekgFsIOp3jUZq6S
NM1ZZZqYXqVt2VnXcyVFjK+txWplxELE4speFImICRPSbf03vHia9w33
-----END PRIVATE KEY-----
`,
};

/** A pair that was valid in 2020 alone. */
export const expired: Pair = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBUDCB9qADAgECAgEBMAoGCCqGSM49BAMCMBIxEDAOBgNVBAMMB2V4cGlyZWQw
HhcNMjAwMTAxMDAwMDAwWhcNMjEwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdleHBp
cmVkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXRzcWVScQncuYmtYIry6QyLU
QIDcLO3b9Kz/nK3Lv+KZCtDF9zByXRTYR2v8ZFs0wzs0crgdLO+C5uK9KMCdYKM9
MDswGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMB0GA1UdDgQWBBQmy72IcNeG
5BXWvmpkg4cYiEovczAKBggqhkjOPQQDAgNJADBGAiEAzHRC+/YUkB7vLF3z6mEC
raXcYY9UjGA0bze3ZRLA6TMCIQCcoIxxfcAzoLN7DzAEkar/jiVKWmaa8MVUtHgO
TqGCgQ==
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAqDblRbuAgtxYjGH
mxapoNiuh6+u9IktRPRlfhkRnC2hRANCAARdHNxZVJxCdy5ia1givLpDItRAgNws
7dv0rP+crcu/4pkK0MX3MHJdFNhHa/xkWzTDOzRyuB0s74Lm4r0owJ1g
-----END PRIVATE KEY-----
`,
};

/** Writes certificate and key as files, and answers the files' paths. */
export function tlsFiles(t: Cleaner, pair: Pair = first): Pair {
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-tls-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  replaceFiles(files, pair);
  return files;
}

/** Writes another pair into files that `tlsFiles` has made. */
export function replaceFiles(files: Pair, pair: Pair): void {
  writeFileSync(files.cert, pair.cert);
  writeFileSync(files.key, pair.key, { mode: 0o600 });
}
