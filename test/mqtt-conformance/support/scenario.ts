import { Client } from './client.js';
import type { Properties } from './properties.js';
import type { Address } from './raw-connection.js';
import type { Connect, Version } from './wire.js';

/** One statement of behaviour, run for each version that names clauses. */
export interface Scenario {
  readonly title: string;
  /** The clauses it shows, as in `3.1.2-24 4.7.1-1`; an empty text runs it without a clause. */
  readonly '3.1.1'?: string;
  readonly '5.0'?: string;
  readonly '3.1'?: string;
  /** What mosquitto 2.0 does instead, where it is not run. */
  readonly mosquitto?: string;
  run(world: World): Promise<void>;
}

export interface Login extends Connect {
  /** Keeps the session when the connection ends: clean session 0, or clean start 0 with an expiry. */
  readonly kept?: boolean;
  readonly version?: Version;
}

/** Tells this run from an earlier one, whose sessions a foreign broker may still keep. */
const run = Date.now().toString(36).slice(-5);
let worlds = 0;

interface Target {
  readonly address: Address;
  readonly webSocket: string;
}

/** One scenario's own corner of the broker: its topics and client identifiers, and the connections to cut at its end. */
export class World {
  readonly version: Version;
  readonly webSocket: string;
  readonly #address: Address;
  readonly #name: string;
  readonly #raws: Client[] = [];

  constructor(broker: Target, version: Version) {
    this.#address = broker.address;
    this.webSocket = broker.webSocket;
    this.version = version;
    worlds += 1;
    this.#name = `w${run}${worlds}`;
  }

  topic(name = 'a'): string {
    return `${this.#name}/${name}`;
  }

  clientId(name: string): string {
    return `${this.#name}${name}`;
  }

  /** A connection that has said nothing yet. */
  open(version: Version = this.version): Client {
    const raw = new Client(this.#address, version);
    this.#raws.push(raw);
    return raw;
  }

  /** CONNECT with what a `Login` says; `kept` in the terms of the version. */
  options(name: string, login: Login = {}): Connect {
    const { kept = false, version = this.version, ...connect } = login;
    const expiry: Properties = kept && version === 5 ? { sessionExpiry: 1000 } : {};
    const properties = { ...expiry, ...connect.properties };
    return { clientId: this.clientId(name), clean: !kept, ...connect, properties };
  }

  /** A connected client. */
  async client(name: string, login: Login = {}): Promise<Client> {
    const raw = this.open(login.version);
    await raw.connect(this.options(name, login));
    return raw;
  }

  /** Two connected clients: one that subscribed to the filter, and one to publish. */
  async pair(filter: string, qos = 0, login: Login = {}): Promise<[subscriber: Client, publisher: Client]> {
    const subscriber = await this.client('sub', login);
    await subscriber.subscribe({ filter, qos });
    return [subscriber, await this.client('pub')];
  }

  close(): void {
    for (const raw of this.#raws) raw.cut();
  }
}
