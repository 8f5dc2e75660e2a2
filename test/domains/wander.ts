/** Random changes of domains by several nodes, and what all of them have to agree on afterwards. */
import type { TestServer } from '../support/server.js';
import { until } from '../support/until.js';
import { Admin, type Made } from './support.js';

/** How a node answers a site's call with this key. */
export async function statusOf(server: TestServer, domain: string, apikey: string): Promise<number> {
  const call = { path: '/v5/presences', query: { ids: '1' }, auth: { domain, apikey } };
  return (await server.request(call)).status;
}

/** Settings and keys of all domains that a node knows. */
async function knownBy(server: TestServer): Promise<string> {
  const one = new Admin(server);
  const shown: unknown[] = [];
  for (const name of await one.names('?limit=1000')) shown.push((await one.get(name)).body);
  return JSON.stringify(shown);
}

/** Waits until all nodes know the same. */
export async function agreed(nodes: readonly TestServer[]): Promise<string> {
  return until('nodes that know the same domains', async () => {
    const [first, ...others] = await Promise.all(nodes.map(knownBy));
    return others.every((other) => other === first) && first;
  });
}

/** A key that was shown when it was made. */
export interface Shown {
  readonly domain: string;
  readonly apikey: string;
  readonly fingerprint: string;
}

/** One random change by one node. Keys that were taken away where the node heard of them are added to `removed`. */
export async function change(
  node: TestServer,
  roll: (sides: number) => number,
  keys: Shown[],
  removed: Shown[],
): Promise<void> {
  const one = new Admin(node);
  const domain = `d${roll(4)}.store`;
  const mine = keys.filter((key) => key.domain === domain);
  const what = roll(8);
  if (what < 2) {
    const answer = await one.put(domain, { origins: [`https://o${roll(100)}.example`] });
    if (answer.status === 201) keys.push(answer.body as Made);
  } else if (what < 4) await one.patch(domain, { carbons: roll(2) === 0, limits: { queuePackets: roll(1000) } });
  else if (what === 4) {
    const answer = await one.addKey(domain);
    if (answer.status === 201) keys.push(answer.body as Made);
  } else if (what < 7) {
    const key = mine[roll(Math.max(1, mine.length))];
    if (key && (await one.removeKey(domain, key.fingerprint)).status === 200) removed.push(key);
  } else if (roll(2) === 0 && (await one.remove(domain)).status === 200) removed.push(...mine);
}
