/**
 * The certificate of TLS: read and judged before anything serves it, watched until it expires. What cannot be served is
 * a line for the operator, never a server without TLS.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Clock } from './clock.js';
import type { TlsConfig } from './config.js';
import { log } from './log.js';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Two weeks: a certificate that renews itself does so a month before its end, so with less left somebody must look. */
const WARN_MS = 14 * DAY_MS;

export interface Certificate {
  readonly files: TlsConfig;
  /** PEM, with its chain. */
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Whom it is for: `DNS:example.com, DNS:www.example.com`, else its subject. */
  readonly names: string;
  /** Milliseconds since the epoch. */
  readonly validFromMs: number;
  readonly expiresAtMs: number;
  /** SHA-256 of the certificate, by which two are compared. */
  readonly fingerprint: string;
}

export type Problem = { readonly problem: string };

/** Reads both files; a problem names the key of the configuration and the file. */
export function readCertificate(files: TlsConfig): Certificate | Problem {
  const cert = readPem('tls.cert', files.cert);
  if ('problem' in cert) return cert;
  const key = readPem('tls.key', files.key);
  if ('problem' in key) return key;
  let x509: X509Certificate;
  try {
    x509 = new X509Certificate(cert);
  } catch {
    return { problem: `tls.cert: ${files.cert} holds no certificate in PEM form` };
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch {
    return { problem: `tls.key: ${files.key} holds no private key in PEM form without a passphrase` };
  }
  if (!x509.checkPrivateKey(privateKey)) {
    return { problem: `tls.key: ${files.key} is not the key of the certificate in ${files.cert}` };
  }
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    return { problem: `tls: cannot be used (${error instanceof Error ? error.message : String(error)})` };
  }
  return {
    files,
    cert,
    key,
    names: x509.subjectAltName ?? x509.subject,
    validFromMs: Date.parse(x509.validFrom),
    expiresAtMs: Date.parse(x509.validTo),
    fingerprint: x509.fingerprint256,
  };
}

function readPem(name: string, file: string): Buffer | Problem {
  try {
    return readFileSync(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return { problem: `${name}: ${file} cannot be read (${code})` };
  }
}

/** What is wrong with the certificate's period of validity; null where nothing is. */
export function timeProblem({ files, validFromMs, expiresAtMs }: Certificate, nowMs: number): string | null {
  const until = new Date(expiresAtMs).toISOString();
  if (nowMs >= expiresAtMs) return `tls.cert: ${files.cert} expired at ${until}`;
  if (nowMs < validFromMs) return `tls.cert: ${files.cert} is not valid before ${new Date(validFromMs).toISOString()}`;
  if (expiresAtMs - nowMs >= WARN_MS) return null;
  return `tls.cert: ${files.cert} expires at ${until}, in ${Math.floor((expiresAtMs - nowMs) / DAY_MS)} days`;
}

/** The certificate that a server serves now. */
export class ServedCertificate {
  #cancel: (() => void) | null = null;
  #isAccepted = true;

  /** Throws an Error whose message is the problem. Warns at once, and every day, when it is about to expire. */
  static load(files: TlsConfig, clock: Clock): ServedCertificate {
    const read = readCertificate(files);
    if ('problem' in read) throw new Error(read.problem);
    return new ServedCertificate(read, clock);
  }

  private constructor(
    public current: Certificate,
    private readonly clock: Clock,
  ) {
    this.#watch();
  }

  /** The files as they are now; null where nothing has changed, or what is new is refused, which the log says. */
  reread(files: TlsConfig): Certificate | null {
    const read = readCertificate(files);
    this.#isAccepted = true;
    if ('problem' in read) return this.refuse(read.problem);
    if (read.fingerprint === this.current.fingerprint && read.key.equals(this.current.key)) return null;
    if (this.clock.now() >= read.expiresAtMs) return this.refuse(timeProblem(read, this.clock.now()) ?? '');
    return read;
  }

  /** Whether what was last read is served. */
  get isAccepted(): boolean {
    return this.#isAccepted;
  }

  refuse(problem: string): null {
    this.#isAccepted = false;
    log.error({ event: 'certificate-refused', problem }, 'the certificate stays as it was');
    return null;
  }

  /** Serves another certificate from now on. */
  replace(certificate: Certificate): void {
    this.current = certificate;
    const { names, expiresAtMs } = certificate;
    log.info({ event: 'certificate-replaced', names, expires: new Date(expiresAtMs).toISOString() });
    this.#watch();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #watch(): void {
    this.close();
    const problem = timeProblem(this.current, this.clock.now());
    if (problem !== null) log.warn({ event: 'certificate-expires', problem }, problem);
    this.#cancel = this.clock.after(DAY_MS, () => this.#watch());
  }
}
