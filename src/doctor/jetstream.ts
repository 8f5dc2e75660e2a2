/** What JetStream is in which a cluster keeps what must survive: whether it is there, how often it keeps that, and what a loss of power costs. */
import { connect } from '@nats-io/transport-node';
import { connectOptions, isRefusal } from '../cluster/nats.js';
import type { Config } from '../config.js';
import { type Finding, fail, ok, warn } from './finding.js';

const ANSWER_MS = 3000;
/** From this version on a server can be told to sync before it acknowledges. */
const SYNCS = [2, 10] as const;

interface Account {
  readonly storage: number;
  readonly streams: number;
  readonly error?: { readonly description: string };
}

interface Server {
  readonly version: string;
  /** The name of its cluster; absent: it is alone. */
  readonly cluster?: string;
}

/** One stream, as JetStream lists it. */
interface Stream {
  readonly config: { readonly name: string; readonly num_replicas: number };
  readonly cluster?: { readonly replicas?: readonly { readonly current: boolean }[] };
}

/** The streams of all clusters on these NATS servers. */
export interface Streams {
  readonly streams?: readonly Stream[] | null;
  /** The names of those that no server answers for. */
  readonly missing?: readonly string[];
}

const SUBJECT = 'jetstream';
const ADVICE = 'nats-server --jetstream --store_dir DIR, on each of the servers, of which a majority has to be there';

/** `workers`: how many processes are to serve. */
export async function jetStreamFindings({ cluster, data }: Config, workers = 1): Promise<Finding[]> {
  const isOwn = cluster.nats.length === 0;
  if (isOwn && workers === 1) return [];
  if (cluster.store === 'none') return [lossFinding(isOwn)];
  if (isOwn) return ownFindings(data);
  try {
    const options = connectOptions(cluster.nats, 'nextalk doctor');
    const connection = await connect({ ...options, reconnect: false, timeout: ANSWER_MS });
    try {
      const ask = async (what: string) =>
        (await connection.request(`$JS.API.${what}`, '{}', { timeout: ANSWER_MS })).json();
      const { version = '0', cluster: name } = (connection.info ?? {}) as Partial<Server>;
      const server = { version, ...(name === undefined ? {} : { cluster: name }) };
      const account = (await ask('INFO')) as Account;
      if (account.error) return [fail(SUBJECT, `JetStream cannot be used (${account.error.description})`, ADVICE)];
      return [
        ...accountFindings(account, server, cluster.replicas),
        ...copyFindings((await ask('STREAM.LIST')) as Streams, cluster),
        ...nameFindings(cluster.node),
      ];
    } finally {
      await connection.close();
    }
  } catch (error) {
    // The findings about NATS say so.
    if (isRefusal(error)) return [];
    const why = error instanceof Error ? error.message : String(error);
    return [fail(SUBJECT, `the NATS servers have no JetStream (${why})`, ADVICE)];
  }
}

function accountFindings({ storage, streams }: Account, server: Server, replicas: number): Finding[] {
  const what = `JetStream of nats-server ${server.version} is there: ${streams} streams, ${Math.ceil(storage / 1024)} KiB`;
  return [ok(SUBJECT, what), replicaFinding(server, replicas), syncFinding(server, replicas)];
}

function replicaFinding({ cluster }: Server, replicas: number): Finding {
  if (replicas === 1) {
    const problem =
      'one NATS server keeps what must survive: while it is gone that waits, and with its disk it is lost';
    return warn(SUBJECT, problem, 'three NATS servers in a cluster of their own, and cluster.replicas 3');
  }
  if (cluster !== undefined) return ok(SUBJECT, `${replicas} NATS servers are to keep what must survive`);
  const problem = `cluster.replicas is ${replicas}, and the NATS server is not in a cluster`;
  return fail(
    SUBJECT,
    problem,
    'run as many NATS servers in one cluster (--cluster, --routes), or set cluster.replicas to 1',
  );
}

/** How often a server syncs it tells nobody who asks over NATS. */
function syncFinding({ version }: Server, replicas: number): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isAble = major > SYNCS[0] || (major === SYNCS[0] && minor >= SYNCS[1]);
  const who = replicas === 1 ? 'the server' : 'all servers at once';
  const problem = `JetStream acknowledges before it syncs to the disk: a loss of power of ${who} may cost the last moments`;
  const advice = isAble
    ? 'jetstream { sync_interval: always } in the configuration of the NATS servers, where it is not there yet'
    : `nats-server ${SYNCS.join('.')} or later with jetstream { sync_interval: always }, or a supply of power of its own for each server`;
  return warn(SUBJECT, problem, advice);
}

/** Streams that are kept less often than they are to be, as a server of NATS is gone or behind, or they were made for fewer. */
export function copyFindings(
  { streams, missing = [] }: Streams,
  { name, replicas }: Pick<Config['cluster'], 'name' | 'replicas'>,
): Finding[] {
  const isShort = ({ config, cluster }: Stream): boolean =>
    config.num_replicas < replicas || cluster?.replicas?.some(({ current }) => !current) === true;
  const short = (streams ?? []).filter(isShort).map(({ config }) => config.name);
  // A stream whose leader is just being chosen may be listed and missed at once.
  // No kind of stream has a `_` in its name, while names of clusters may.
  const isOwn = (stream: string): boolean => stream.slice(0, stream.lastIndexOf('_')) === name;
  const found = [...new Set([...short, ...missing])].filter(isOwn);
  if (found.length === 0) return [];
  const problem = `kept less often than cluster.replicas says: ${found.join(', ')}`;
  return [
    warn(SUBJECT, problem, 'see that all NATS servers are there; a node that starts has them keep as many copies'),
  ];
}

function lossFinding(isOwn: boolean): Finding {
  const problem = "nothing is kept: a node that is killed takes its clients' tickets and messages with it";
  return warn(SUBJECT, problem, isOwn ? '--data DIR keeps them' : `cluster.store jetstream, and ${ADVICE}`);
}

function nameFindings(node: string | null): Finding[] {
  if (node !== null) return [];
  const problem = 'this node has no name of its own: what it has left is not its own any more at its next start';
  return [warn(SUBJECT, problem, 'name each node with cluster.node')];
}

function ownFindings(data: string): Finding[] {
  if (data !== 'none') return [ok(SUBJECT, `workers get one, in ${data}/jetstream`)];
  const problem = 'workers get one that ends with the server: what it keeps outlives workers, not a restart';
  return [warn(SUBJECT, problem, 'name a folder with --data DIR')];
}
