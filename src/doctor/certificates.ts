/** The certificate, as a server that started now would judge it. */
import { readCertificate, timeProblem } from '../certificate.js';
import type { Config } from '../config.js';
import { type Finding, fail, ok, warn } from './finding.js';

export function certificateFindings({ tls }: Config, nowMs: number): Finding[] {
  const subject = 'certificate';
  if (tls === null) return [ok(subject, 'none: no TLS here')];
  const read = readCertificate(tls);
  if ('problem' in read) return [fail(subject, read.problem, 'correct the files or their paths')];
  const problem = timeProblem(read, nowMs);
  if (problem === null) {
    return [ok(subject, `for ${read.names}, until ${new Date(read.expiresAtMs).toISOString().slice(0, 10)}`)];
  }
  const advice = 'renew it, then send the server SIGHUP (systemctl reload nextalk)';
  const isValid = read.validFromMs <= nowMs && nowMs < read.expiresAtMs;
  return [isValid ? warn(subject, problem, advice) : fail(subject, problem, advice)];
}
