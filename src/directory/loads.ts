/**
 * How much of a domain's limits other nodes have in use: of limits that count the whole cluster. Each node says once a second
 * what it has of domains with such a limit; what a node said counts for three seconds, so that nothing is left of one that is gone.
 */
const FRESH_MS = 3000;

export interface Load {
  readonly connections: number;
  /** Messages in a second that were accepted or wanted to be. */
  readonly messages: number;
}

interface Said extends Load {
  readonly at: number;
}

export class Loads {
  /** What each node last said of its load: by domain, then by the name of the node. */
  readonly #said = new Map<string, Map<string, Said>>();

  constructor(private readonly now: () => number) {}

  take(node: string, domain: string, load: Load): void {
    let nodes = this.#said.get(domain);
    if (!nodes) {
      nodes = new Map();
      this.#said.set(domain, nodes);
    }
    nodes.set(node, { ...load, at: this.now() });
  }

  /** The load of a domain on all other nodes together. */
  others(domain: string): Load {
    let connections = 0;
    let messages = 0;
    const nodes = this.#said.get(domain);
    if (!nodes) return { connections, messages };
    const since = this.now() - FRESH_MS;
    for (const [node, said] of nodes) {
      if (said.at < since) nodes.delete(node);
      connections += said.at < since ? 0 : said.connections;
      messages += said.at < since ? 0 : said.messages;
    }
    if (nodes.size === 0) this.#said.delete(domain);
    return { connections, messages };
  }
}
