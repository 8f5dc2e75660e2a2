import { createPrivateKey } from 'node:crypto';
import { join } from 'node:path';
import t from 'tap';
import { readCertificate, ServedCertificate, timeProblem } from '../src/certificate.js';
import { log } from '../src/log.js';
import { ManualClock } from './mqtt/support/clock.js';
import { expired, first, renewed, replaceFiles, tlsFiles } from './support/tls.js';

const DAY_MS = 24 * 60 * 60 * 1000;

function locked(key: string): string {
  const options = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
  return createPrivateKey(key).export(options).toString();
}

t.test('a certificate says whom it is for and how long it is valid', async (t) => {
  const files = tlsFiles(t);
  const read = readCertificate(files);
  t.match(read, { files, names: /DNS:localhost/, fingerprint: /^[0-9A-F:]{95}$/ });
  t.ok('expiresAtMs' in read && read.expiresAtMs > Date.parse('2100-01-01'));
});

t.test('a certificate that cannot be served is named by its configuration key and file', async (t) => {
  const files = tlsFiles(t);
  const other = tlsFiles(t, renewed);
  const folder = t.testdir({
    'junk.pem': '-----BEGIN CERTIFICATE-----\nAAAA\n',
    'locked.pem': locked(first.key),
  });
  const junk = join(folder, 'junk.pem');
  const cases: readonly (readonly [{ cert: string; key: string }, RegExp])[] = [
    [{ ...files, cert: '/nowhere.pem' }, /^tls\.cert: \/nowhere\.pem cannot be read \(ENOENT\)$/],
    [{ ...files, key: '/nowhere.pem' }, /^tls\.key: \/nowhere\.pem cannot be read \(ENOENT\)$/],
    [{ ...files, cert: junk }, /^tls\.cert: .*junk\.pem holds no certificate/],
    [{ ...files, cert: files.key }, /^tls\.cert: .* holds no certificate/],
    [{ ...files, key: junk }, /^tls\.key: .* holds no private key/],
    [{ ...files, key: join(folder, 'locked.pem') }, /^tls\.key: .* without a passphrase/],
    [{ cert: files.cert, key: other.key }, /^tls\.key: .* is not the key of the certificate in /],
  ];
  for (const [given, problem] of cases) t.match(readCertificate(given), { problem });
  t.throws(() => ServedCertificate.load({ cert: files.cert, key: other.key }, new ManualClock()), /is not the key/);
});

t.test('a certificate is reported two weeks before it expires', async (t) => {
  const read = readCertificate(tlsFiles(t, expired));
  if ('problem' in read) throw new Error(read.problem);
  const { expiresAtMs, validFromMs } = read;
  t.equal(timeProblem(read, expiresAtMs - 15 * DAY_MS), null);
  t.match(timeProblem(read, expiresAtMs - 3.5 * DAY_MS), /expires at 2021-01-01T00:00:00\.000Z, in 3 days$/);
  t.match(timeProblem(read, expiresAtMs), /expired at 2021/);
  t.match(timeProblem(read, validFromMs - 1), /is not valid before 2020/);
});

t.test('a server warns of expiry at once and every day', async (t) => {
  const warned = t.capture(log, 'warn');
  const clock = new ManualClock();
  const served = ServedCertificate.load(tlsFiles(t, expired), clock);
  t.match(warned().at(-1)?.args[0], { event: 'certificate-expires', problem: /expired/ });
  clock.advance(2 * DAY_MS);
  t.equal(warned().length, 2, 'once for each day');
  served.close();
  t.equal(clock.waiting, 0);
});

t.test('a reread certificate is taken over only when it is new and can be served', async (t) => {
  const refused = t.capture(log, 'error');
  const files = tlsFiles(t);
  const served = ServedCertificate.load(files, new ManualClock());
  t.teardown(() => served.close());
  t.equal(served.reread(files), null, 'the same is not new');
  t.equal(refused().length, 0);
  replaceFiles(files, { cert: renewed.cert, key: first.key });
  t.equal(served.reread(files), null);
  replaceFiles(files, expired);
  t.equal(served.reread(files), null);
  const problems = refused().map(({ args: [entry] }) => (entry as { problem?: string }).problem);
  t.match(problems, [/is not the key/, /expired/]);
  replaceFiles(files, renewed);
  const fresh = served.reread(files);
  t.match(fresh, { names: /localhost/ });
  if (fresh) served.replace(fresh);
  t.equal(served.current, fresh);
  t.equal(served.reread(files), null);
});
