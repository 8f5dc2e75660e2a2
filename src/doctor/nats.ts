/** Whether the NATS servers of the cluster answer and let this node in, or the one that workers are to get can be had. */
import { connect } from 'node:net';
import { connect as connectNats } from '@nats-io/transport-node';
import { connectOptions, isRefusal } from '../cluster/nats.js';
import type { Config } from '../config.js';
import { findNatsServer } from '../nats-program.js';
import { type Finding, fail, ok } from './finding.js';

const PATIENCE_MS = 3000;
const DEFAULT_PORT = 4222;

/** A NATS server says INFO first, also where it wants TLS then. Answers what is wrong, or null. */
function greet(url: URL): Promise<string | null> {
  return new Promise((resolve) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const socket = connect({ host, port: Number(url.port) || DEFAULT_PORT });
    const done = (problem: string | null): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(PATIENCE_MS, () => done('does not answer'));
    socket.once('error', (error: NodeJS.ErrnoException) => done(`cannot be reached (${error.code ?? error.message})`));
    socket.once('close', () => done('closes the connection'));
    socket.once('data', (chunk: Buffer) => {
      done(chunk.toString('latin1').startsWith('INFO ') ? null : 'answers, but is no NATS server');
    });
  });
}

/** Whether a NATS server refuses the user and password with which the nodes of the cluster come. */
async function isRefused(urls: readonly string[], { host }: URL): Promise<boolean> {
  const options = { ...connectOptions(urls, 'nextalk doctor'), servers: host };
  try {
    await (await connectNats({ ...options, reconnect: false, timeout: PATIENCE_MS })).close();
    return false;
  } catch (error) {
    return isRefusal(error);
  }
}

/** `workers`: how many processes are to serve. */
export async function natsFindings({ cluster }: Config, workers = 1): Promise<Finding[]> {
  if (cluster.nats.length === 0) return workers > 1 ? [programFinding(cluster.server)] : [];
  const looking = cluster.nats.map(async (text) => {
    const url = new URL(text);
    // Without the credentials that it may hold.
    const shown = `${url.protocol}//${url.host}`;
    const problem = await greet(url);
    if (problem !== null)
      return fail('nats', `${shown} ${problem}`, 'start nats-server there, or correct cluster.nats');
    if (!(await isRefused(cluster.nats, url))) return ok('nats', `${shown} answers`);
    return fail('nats', `${shown} refuses the user or password`, 'correct those of the first URL in cluster.nats');
  });
  return Promise.all(looking);
}

function programFinding(server: string | null): Finding {
  try {
    return ok('nats', `workers get ${findNatsServer(server)}`);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return fail('nats', problem, 'install nats-server, or name it in cluster.server, or a running one in cluster.nats');
  }
}
