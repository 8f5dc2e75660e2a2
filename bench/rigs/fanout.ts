/** One sender, many receivers: the same picture for every server that can draw it. */
import { type HttpClient, HttpPool, httpRequest } from '../clients/http.js';
import { MqttClient, publishPacket } from '../clients/mqtt.js';
import { bringOnline, messageRequest, mqttPayload, openSocket, peerFrame, pollRequest } from '../clients/nextalk.js';
import { openSocketIo } from '../clients/socketio.js';
import { textFrame, WebSocketClient } from '../clients/websocket.js';
import { each } from '../clients/wire.js';
import type { Context } from '../scenario.js';
import { brokerLogin, checkOk, FrameCounter, pollCounter, pollForever, pollNchanForever } from './common.js';

/** Senders take turns, so that messages in flight come on connections of their own, as from a site's workers. */
const senders = 8;
const room = 'room';

export interface Fanout {
  /** Sends one message to all receivers. */
  publish(): void;
}

/** Told for every read of a receiver how many messages it has got. */
export type Delivered = (receiver: number, count: number) => void;

export type OpenFanout = (context: Context, receivers: number, delivered: Delivered) => Promise<Fanout>;

/** Rooms of WebSockets. */
export const openSocketFanout: OpenFanout = (context, receivers, delivered) => {
  switch (context.target) {
    case 'socketio':
      return socketIoRoom(context, receivers, delivered);
    case 'nchan':
      return nchanSockets(context, receivers, delivered);
    case 'uws':
    case 'ws':
      return plainSockets(context, receivers, delivered);
    default:
      return ourRoom(context, receivers, async (ticket, index, counter) => {
        await openSocket(context.port, ticket, (_bytes, start, end) => delivered(index, counter.count(end - start)));
      });
  }
};

/** Rooms of long polls. */
export const openPollFanout: OpenFanout = async (context, receivers, delivered) => {
  if (context.target === 'nchan') {
    await each(receivers, 32, (index) => pollNchanForever(context.port, room, () => delivered(index, 1)));
    return posts(context.port, httpRequest(`/pub/${room}`, 'Content-Type: text/plain\r\n', peerFrame));
  }
  const counter = pollCounter();
  return ourRoom(context, receivers, async (ticket, index) => {
    await pollForever(context.port, pollRequest(ticket), counter, (count) => delivered(index, count));
  });
};

/** Subscribers of one MQTT topic, QoS 0. */
export const openMqttFanout: OpenFanout = async (context, receivers, delivered) => {
  const topic = 'bench/fan';
  const login = brokerLogin(context);
  await each(receivers, 32, async (index) => {
    const client = await MqttClient.open({
      ...login,
      clientId: `r${index}`,
      onPublish: () => delivered(index, 1),
    });
    await client.subscribe(topic, 0);
  });
  const publishers: MqttClient[] = [];
  await each(senders, 8, async (index) => {
    publishers.push(await MqttClient.open({ ...login, clientId: `s${index}` }));
  });
  const packet = publishPacket(topic, mqttPayload, 0);
  return inTurn(publishers, (publisher) => publisher.send(packet));
};

/** Members come online invisible: 10,000 visible ones would tell each other 50 million times. */
async function ourRoom(
  context: Context,
  receivers: number,
  connect: (ticket: string, index: number, counter: FrameCounter) => Promise<void>,
): Promise<Fanout> {
  const pool = await HttpPool.open(context.port, 32);
  const counter = new FrameCounter();
  let sender = '';
  await bringOnline(
    pool,
    receivers + 1,
    () => ({ rooms: room }),
    async (ticket, index) => {
      if (index < receivers) return connect(ticket, index, counter);
      sender = ticket;
      await openSocket(context.port, ticket, () => {
        throw new Error('the sender got its own message');
      });
    },
  );
  pool.close();
  return posts(context.port, messageRequest(sender, room, 'grpchat'));
}

async function plainSockets(context: Context, receivers: number, delivered: Delivered): Promise<Fanout> {
  const { port } = context;
  await each(receivers, 32, async (index) => {
    await WebSocketClient.open({ port, path: `/ws/r${index}`, onText: () => delivered(index, 1) });
  });
  const sockets: WebSocketClient[] = [];
  await each(senders, 8, async () => {
    sockets.push(await WebSocketClient.open({ port, path: '/sender', onText: () => {} }));
  });
  const frame = textFrame(peerFrame);
  return inTurn(sockets, (socket) => socket.send(frame));
}

async function socketIoRoom(context: Context, receivers: number, delivered: Delivered): Promise<Fanout> {
  const sockets: WebSocketClient[] = [];
  // The senders are members too and get each other's messages, which nobody counts.
  await each(receivers, 32, async (index) => {
    await openSocketIo(context.port, () => delivered(index, 1));
  });
  await each(senders, 8, async () => {
    sockets.push(await openSocketIo(context.port, () => {}));
  });
  const frame = textFrame(`42${JSON.stringify(['say', peerFrame.slice(0, 150)])}`);
  return inTurn(sockets, (socket) => socket.send(frame));
}

async function nchanSockets(context: Context, receivers: number, delivered: Delivered): Promise<Fanout> {
  const { port } = context;
  await each(receivers, 32, async (index) => {
    await WebSocketClient.open({ port, path: `/ws/${room}`, onText: () => delivered(index, 1) });
  });
  return posts(port, httpRequest(`/pub/${room}`, 'Content-Type: text/plain\r\n', peerFrame));
}

async function posts(port: number, request: Buffer): Promise<Fanout> {
  const clients: HttpClient[] = [];
  const pool = await HttpPool.open(port, senders);
  for (let i = 0; i < senders; i += 1) clients.push(pool.next());
  return inTurn(clients, (client) => client.request(request, checkOk));
}

/** Bare uWebSockets.js, all messages of a turn in one write: the fastest there is, to see what the generator reads. */
export const openCeiling: OpenFanout = async (context, receivers, delivered) => {
  const { port } = context;
  await each(receivers, 32, async (index) => {
    await WebSocketClient.open({ port, path: `/ws/r${index}`, onText: () => delivered(index, 1) });
  });
  const sender = await WebSocketClient.open({ port, path: '/sender', onText: () => {} });
  const frame = textFrame(peerFrame);
  let waiting = 0;
  const flush = (): void => {
    sender.send(Buffer.concat(Array(waiting).fill(frame)));
    waiting = 0;
  };
  return {
    publish: () => {
      if (waiting === 0) setImmediate(flush);
      waiting += 1;
    },
  };
};

function inTurn<Sender>(all: readonly Sender[], send: (sender: Sender) => void): Fanout {
  let next = 0;
  return {
    publish: () => {
      const sender = all[next % all.length];
      next += 1;
      if (sender !== undefined) send(sender);
    },
  };
}
