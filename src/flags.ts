/** Every flag of the command line, with its environment name; the reference in the documentation is made from them too. */

export interface Flags {
  readonly config?: string;
  readonly host?: string;
  readonly port?: string;
  readonly domain?: readonly string[];
  readonly mqttPort?: string;
  readonly adminPort?: string;
  readonly publicUrl?: string;
  readonly data?: string;
  readonly nats?: readonly string[];
  readonly workers?: string;
  readonly set?: readonly string[];
}

/** One flag. */
export interface Flag {
  readonly name: keyof Flags;
  readonly usage: string;
  readonly env: string;
  readonly text: string;
  /** Where its value goes in the file's shape; the default shown by --help is taken from the schema there. */
  readonly path?: string;
  readonly byDefault?: string;
  /** May repeat; in the environment the values are separated by this. */
  readonly separator?: string;
}

export const flags: readonly Flag[] = [
  {
    name: 'config',
    usage: '--config <file>',
    env: 'NEXTALK_CONFIG',
    text: 'a JSON configuration file',
    byDefault: 'none',
  },
  { name: 'host', usage: '--host <address>', env: 'NEXTALK_HOST', text: 'address to listen on', path: 'host' },
  {
    name: 'port',
    usage: '--port <number>',
    env: 'NEXTALK_PORT',
    text: 'HTTP, JSONP, WebSocket, MQTT over WebSocket; 0: any free one',
    path: 'port',
  },
  {
    name: 'domain',
    usage: '--domain <name:apikey>',
    env: 'NEXTALK_DOMAINS',
    text: 'a domain and its API key; may repeat',
    byDefault: 'localhost:public only while none is configured',
    separator: ',',
  },
  {
    name: 'mqttPort',
    usage: '--mqtt-port <number>',
    env: 'NEXTALK_MQTT_PORT',
    text: 'MQTT over TCP; 0: off',
    path: 'mqtt.port',
  },
  {
    name: 'adminPort',
    usage: '--admin-port <number>',
    env: 'NEXTALK_ADMIN_PORT',
    text: 'metrics, health, dashboard; 0: off',
    path: 'admin.port',
  },
  {
    name: 'publicUrl',
    usage: '--public-url <url>',
    env: 'NEXTALK_PUBLIC_URL',
    text: 'what ONLINE hands out to clients',
    path: 'publicUrl',
    byDefault: 'from the request',
  },
  {
    name: 'data',
    usage: '--data <folder>',
    env: 'NEXTALK_DATA',
    text: 'where state that must survive is kept; none keeps nothing',
    path: 'data',
    byDefault: './data, with --nats none',
  },
  {
    name: 'nats',
    usage: '--nats <url>',
    env: 'NEXTALK_NATS',
    text: 'join a cluster over NATS; may repeat; --set cluster.store=jetstream keeps there what must survive a node',
    path: 'cluster.nats',
    byDefault: 'none: one node',
    separator: ',',
  },
  {
    name: 'workers',
    usage: '--workers <number>',
    env: 'NEXTALK_WORKERS',
    text: 'server processes on this machine, auto: as many as cores; without --nats they get a nats-server of their own, which keeps in --data what must survive',
    byDefault: '1',
  },
  {
    name: 'set',
    usage: '--set <path=value>',
    env: 'NEXTALK_SET',
    text: 'any configuration value, presence.graceMs=1000; may repeat',
    byDefault: 'none',
    separator: ';',
  },
];
