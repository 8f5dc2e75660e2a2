/** How fast clients get in, and what each costs in memory once it idles there. */
import { HttpPool } from '../clients/http.js';
import { MqttClient } from '../clients/mqtt.js';
import { bringOnline, domain, openSocket, pollRequest, ringBuddies } from '../clients/nextalk.js';
import { openSocketIo } from '../clients/socketio.js';
import { WebSocketClient } from '../clients/websocket.js';
import { each } from '../clients/wire.js';
import { Meter, measureMemory } from '../meter.js';
import { brokerLogin, isOurs, pollCounter, pollForever, pollNchanForever } from '../rigs/common.js';
import type { Context, Scenario, TargetName } from '../scenario.js';

/** Connects client number `index`, and leaves it idle. Ours comes with a ticket. */
type ConnectOne = (context: Context, index: number, ticket: string) => Promise<unknown>;

const ignore = (): void => {};

const connectSocket: ConnectOne = ({ target, port }, index, ticket) => {
  if (isOurs(target)) return openSocket(port, ticket, ignore);
  if (target === 'socketio') return openSocketIo(port, ignore);
  return WebSocketClient.open({ port, path: `/ws/i${index}`, onText: ignore });
};

const connectMqtt: ConnectOne = async (context, index, ticket) => {
  const clientId = `c${index}`;
  if (isOurs(context.target)) {
    return MqttClient.open({ port: context.mqttPort, clientId, username: domain, password: ticket });
  }
  // As a broker's client must, to be reached: our ticket's connection is subscribed by what it is.
  const client = await MqttClient.open({ ...brokerLogin(context), clientId });
  return client.subscribe(`bench/user/${index}`, 1);
};

const connectPoll: ConnectOne = ({ target, port }, index, ticket) => {
  if (isOurs(target)) return pollForever(port, pollRequest(ticket), pollCounter(), ignore);
  return pollNchanForever(port, `i${index}`, ignore);
};

interface Load {
  readonly connect: ConnectOne;
  readonly peers: TargetName[];
  readonly buddies: number;
}

function memory(id: string, title: string, load: Load): Scenario {
  return {
    id,
    title,
    targets: ['nextalk', 'before', ...load.peers],
    collects: true,
    run: async (context) => {
      const users = context.quick ? 2000 : 10_000;
      const before = await measureMemory(context.pids);
      const ours = isOurs(context.target);
      if (ours) {
        const pool = await HttpPool.open(context.port, 32);
        const fields = (index: number): Record<string, string> =>
          load.buddies === 0 ? {} : { show: 'available', buddies: ringBuddies(index, users, load.buddies) };
        await bringOnline(pool, users, fields, async (ticket, index) => {
          await load.connect(context, index, ticket);
        });
        pool.close();
      } else {
        await each(users, 32, async (index) => {
          await load.connect(context, index, '');
        });
      }
      const after = await measureMemory(context.pids);
      const mode = `${users / 1000}k`;
      return [
        { mode, metric: 'memory', value: (after.collected - before.collected) / users / 1024 },
        { mode, metric: 'uncollected', value: (after.standing - before.collected) / users / 1024 },
      ];
    },
  };
}

function connectRate(id: string, title: string, connect: ConnectOne, peers: TargetName[]): Scenario {
  return {
    id,
    title,
    targets: ['nextalk', 'before', ...peers],
    run: async (context) => {
      const count = context.quick || context.tls ? 2000 : 8000;
      let tickets: string[] = [];
      if (isOurs(context.target)) {
        const pool = await HttpPool.open(context.port, 32);
        tickets = await bringOnline(pool, count);
        pool.close();
      }
      const meter = new Meter(context.pids);
      await each(count, 64, async (index) => {
        await connect(context, index, tickets[index] ?? '');
      });
      return meter.stop('', count);
    },
  };
}

const socketPeers: TargetName[] = ['uws', 'ws', 'socketio', 'nchan'];
const brokers: TargetName[] = ['mosquitto', 'aedes'];

export const connectScenarios: readonly Scenario[] = [
  connectRate('connect-rate', 'WebSockets accepted', connectSocket, socketPeers),
  {
    ...connectRate('connect-rate-tls', 'WebSockets accepted over TLS', connectSocket, ['uws', 'ws', 'nchan']),
    tls: true,
  },
  connectRate('connect-rate-mqtt', 'MQTT clients accepted', connectMqtt, brokers),
  memory('memory-ws-idle', 'idle WebSocket (ours: with its online user)', {
    connect: connectSocket,
    peers: socketPeers,
    buddies: 0,
  }),
  memory('memory-ws-50-buddies', 'idle WebSocket, user with 50 buddies online', {
    connect: connectSocket,
    peers: [],
    buddies: 50,
  }),
  memory('memory-mqtt-idle', 'idle MQTT client (ours: with its online user)', {
    connect: connectMqtt,
    peers: brokers,
    buddies: 0,
  }),
  memory('memory-poll-idle', 'idle long poll (ours: with its online user)', {
    connect: connectPoll,
    peers: ['nchan'],
    buddies: 0,
  }),
];
