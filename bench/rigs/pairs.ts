/** Many senders, each with a receiver of its own: what is in flight is counted for each pair. */
import { HttpClient, HttpPool, httpRequest } from '../clients/http.js';
import { MqttClient, publishPacket, type Qos } from '../clients/mqtt.js';
import {
  bringOnline,
  domain,
  emptyFrame,
  messageRequest,
  mqttPayload,
  openSocket,
  peerFrame,
  pollRequest,
  userId,
} from '../clients/nextalk.js';
import { WebSocketClient } from '../clients/websocket.js';
import { each } from '../clients/wire.js';
import type { Context } from '../scenario.js';
import { brokerLogin, checkOk, FrameCounter, isOurs, pollCounter, pollForever, pollNchanForever } from './common.js';

export interface Pairs {
  /** Sends messages of one pair, together where the protocol can. */
  send(pair: number, count: number): void;
}

/** Told once for every read of a receiver how many messages it has got. */
export type Delivered = (pair: number, count: number) => void;

export type OpenPairs = (context: Context, pairs: number, delivered: Delivered) => Promise<Pairs>;

/** REST to WebSocket; each sender has an HTTP connection of its own, unless they share `connections`. */
export const openRestSockets = async (
  context: Context,
  pairs: number,
  delivered: Delivered,
  connections = pairs,
): Promise<Pairs> => {
  const { port } = context;
  if (!isOurs(context.target)) {
    await each(pairs, 32, async (pair) => {
      const received = gather(pair, delivered);
      await WebSocketClient.open({ port, path: `/ws/p${pair}`, onText: () => received.add(1), onRead: received.flush });
    });
    return peerPosts(context, pairs, connections);
  }
  const counter = new FrameCounter();
  const connect = async (ticket: string, pair: number): Promise<void> => {
    const received = gather(pair, delivered);
    const onText = (_bytes: Buffer, start: number, end: number): void => received.add(counter.count(end - start));
    await openSocket(port, ticket, onText, received.flush);
  };
  return ourPosts(context, pairs, connect, connections);
};

/** REST to long poll, from as many connections. */
export const openRestPolls = async (
  context: Context,
  pairs: number,
  delivered: Delivered,
  connections = pairs,
): Promise<Pairs> => {
  const { port } = context;
  if (context.target === 'nchan') {
    await each(pairs, 32, (pair) => pollNchanForever(port, `p${pair}`, () => delivered(pair, 1)));
    return peerPosts(context, pairs, connections);
  }
  const counter = pollCounter();
  const connect = async (ticket: string, pair: number): Promise<void> => {
    await pollForever(port, pollRequest(ticket), counter, (count) => delivered(pair, count));
  };
  return ourPosts(context, pairs, connect, connections);
};

/** REST to a phone: a ticket's MQTT connection, which gets its packets at QoS 1 without subscribing. */
export const openRestMqtt: OpenPairs = (context, pairs, delivered) => {
  // Two bytes of packet identifier stand before the frame.
  const counter = new FrameCounter(2 + emptyFrame.length);
  return ourPosts(context, pairs, async (ticket, pair) => {
    const received = gather(pair, delivered);
    await MqttClient.open({
      port: context.mqttPort,
      clientId: `c${pair}`,
      username: domain,
      password: ticket,
      onPublish: (_bytes, start, end) => received.add(counter.count(end - start)),
      onRead: received.flush,
    });
  });
};

/** MQTT to MQTT over topics of their own. */
export function openMqttPairs(qos: Qos): OpenPairs {
  return async (context, pairs, delivered) => {
    const login = brokerLogin(context);
    const publishers: MqttClient[] = [];
    const packets: Buffer[][] = [];
    await each(pairs, 32, async (pair) => {
      const received = gather(pair, delivered);
      const subscriber = await MqttClient.open({
        ...login,
        clientId: `r${pair}`,
        onPublish: () => received.add(1),
        onRead: received.flush,
      });
      const topic = `bench/pair/${userId(pair)}`;
      await subscriber.subscribe(topic, qos);
      publishers[pair] = await MqttClient.open({ ...login, clientId: `s${pair}` });
      const packet = publishPacket(topic, mqttPayload, qos);
      // QoS 0 packets carry no identifier: all bursts can be made beforehand.
      packets[pair] = Array.from({ length: qos === 0 ? 16 : 1 }, (_, i) => Buffer.concat(Array(i + 1).fill(packet)));
    });
    const send = (pair: number, count: number): void => {
      const template = packets[pair]?.[qos === 0 ? count - 1 : 0];
      if (template === undefined) throw new Error(`no packet for ${count} messages at once`);
      if (qos === 0) publishers[pair]?.send(template);
      else publishers[pair]?.sendNumbered(template, template.length - mqttPayload.length - 2, count);
    };
    return { send };
  };
}

/** Adds up what one read brought, so that the answer to it is sent in one write. */
function gather(pair: number, delivered: Delivered): { add(count: number): void; flush(): void } {
  let pending = 0;
  return {
    add: (count) => {
      pending += count;
    },
    flush: () => {
      const count = pending;
      pending = 0;
      if (count > 0) delivered(pair, count);
    },
  };
}

/** Users 0 … pairs-1 receive, the next as many send. */
async function ourPosts(
  context: Context,
  pairs: number,
  connect: (ticket: string, pair: number) => Promise<void>,
  connections = pairs,
): Promise<Pairs> {
  const pool = await HttpPool.open(context.port, 32);
  const tickets = await bringOnline(pool, 2 * pairs, undefined, async (ticket, index) => {
    if (index < pairs) await connect(ticket, index);
  });
  pool.close();
  const requests = tickets.slice(pairs).map((ticket, pair) => messageRequest(ticket, userId(pair), 'chat'));
  return posts(context.port, requests, connections);
}

function peerPosts(context: Context, pairs: number, connections: number): Promise<Pairs> {
  const path = context.target === 'nchan' ? '/pub/p' : '/send/p';
  const type = 'Content-Type: application/x-www-form-urlencoded\r\n';
  const requests = Array.from({ length: pairs }, (_, pair) => httpRequest(`${path}${pair}`, type, peerFrame));
  return posts(context.port, requests, connections);
}

async function posts(port: number, requests: readonly Buffer[], connections: number): Promise<Pairs> {
  const clients: HttpClient[] = [];
  await each(connections, 32, async (index) => {
    clients[index] = await HttpClient.open(port);
  });
  const send = (pair: number, count: number): void => {
    const client = clients[pair % connections];
    const request = requests[pair];
    if (client === undefined || request === undefined) return;
    for (let i = 0; i < count; i += 1) client.request(request, checkOk);
  };
  return { send };
}
