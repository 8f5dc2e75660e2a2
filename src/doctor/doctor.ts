/**
 * `nextalk doctor`: looks at what a server needs on this machine, and says of each whether it is right, and if not, what
 * to do about it. Starts nothing and changes nothing.
 */
import { type Config, isLoopback } from '../config.js';
import { nodeProblem } from '../node-version.js';
import { loadUws, pickBuild, thisMachine } from '../uws.js';
import { certificateFindings } from './certificates.js';
import { type Finding, fail, ok, warn } from './finding.js';
import { jetStreamFindings } from './jetstream.js';
import { fileFindings, limitFindings } from './machine.js';
import { natsFindings } from './nats.js';
import { portFindings } from './ports.js';

export type Configured =
  | { readonly config: Config; readonly file: string | undefined; readonly workers?: number }
  | { readonly errors: readonly string[] };

/** A key that is not guessed: 16 characters of letters and digits are 95 bits. */
const KEY_CHARACTERS = 16;
const HASHED = 'sha256:';

/** Everything that can be found out, in the order in which it is told. */
export async function examine(configured: Configured): Promise<Finding[]> {
  const machine = [nodeFinding(), buildFinding(), ...limitFindings()];
  if ('errors' in configured) {
    const errors = configured.errors.map((error) => fail('configuration', error, 'correct it; docs/configuration.md'));
    return [...machine, ...errors];
  }
  const { config, file, workers } = configured;
  return [
    ...machine,
    ...configurationFindings(config, file),
    ...fileFindings(config, file),
    ...certificateFindings(config, Date.now()),
    ...(await portFindings(config)),
    ...(await natsFindings(config, workers)),
    ...(await jetStreamFindings(config, workers)),
  ];
}

function nodeFinding(): Finding {
  const problem = nodeProblem(process.versions.node);
  if (problem === undefined) return ok('node', `Node ${process.versions.node}`);
  return fail('node', problem.replace(/^nextalk: /, ''), 'install a newer Node: https://nodejs.org/en/download');
}

function buildFinding(): Finding {
  const build = pickBuild(thisMachine());
  try {
    loadUws();
    return ok('native build', 'file' in build ? `${build.package}/${build.file} loads` : 'loads');
  } catch (error) {
    const [problem, ...supported] = (error instanceof Error ? error.message : String(error)).split('\n');
    return fail('native build', problem ?? '', supported.join('\n').trim() || 'run `npm install` again');
  }
}

function configurationFindings(config: Config, file: string | undefined): Finding[] {
  const { domains, host, publicUrl, tls, mqtt, trustProxy } = config;
  const isPublic = !isLoopback(host);
  const name = 'configuration';
  const found = [ok(name, `${file ?? 'without a file'}: valid, domains: ${domains.map((d) => d.domain).join(', ')}`)];
  for (const { domain, apikey } of domains) {
    const short = [apikey].flat().some((key) => !key.startsWith(HASHED) && key.length < KEY_CHARACTERS);
    const isBuiltIn = domain === 'localhost' && !isPublic;
    if (short && !isBuiltIn) {
      const problem = `an API key of ${domain} has less than ${KEY_CHARACTERS} characters`;
      found.push(warn(name, problem, 'make one with `openssl rand -hex 24`'));
    }
  }
  const { token } = config.admin;
  const tokens = [token ?? []].flat().map((one) => (typeof one === 'string' ? one : one.token));
  if (tokens.some((one) => one.length < KEY_CHARACTERS)) {
    const problem = `admin.token has less than ${KEY_CHARACTERS} characters, and may be guessed: the right one never waits`;
    found.push(warn(name, problem, 'make one with `openssl rand -hex 24`'));
  }
  if (isPublic && tls === null && mqtt.port !== 0) {
    const problem = 'MQTT without TLS is open to other machines: API keys and tickets cross the network readably';
    found.push(warn(name, problem, 'set tls and mqtt.tlsPort, and mqtt.port to 0'));
  }
  if (publicUrl?.startsWith('http:') && !isLoopback(new URL(publicUrl).hostname)) {
    found.push(
      warn(name, 'publicUrl is not https: tickets cross the network readably', 'serve TLS, here or in a proxy'),
    );
  }
  if (isPublic && trustProxy > 0) {
    const problem = `trustProxy believes ${trustProxy} in front, but the port is open to other machines on ${host}`;
    found.push(warn(name, problem, 'let only the proxy reach it: host 127.0.0.1, or a firewall'));
  }
  if (mqtt.anonymousDomain !== null) {
    found.push(warn(name, `anybody on this machine is a backend of ${mqtt.anonymousDomain} by MQTT`, 'for tests only'));
  }
  return found;
}
