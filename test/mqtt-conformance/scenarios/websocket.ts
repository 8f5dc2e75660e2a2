import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Scenario, World } from '../support/scenario.js';
import * as wire from '../support/wire.js';

interface Socket {
  readonly ws: WebSocket;
  /** Reads until this many packets came. */
  packets(count: number): Promise<wire.Packet[]>;
}

async function open(w: World, protocols: string[] = ['mqtt']): Promise<Socket> {
  const ws = new WebSocket(w.webSocket, protocols);
  let bytes = Buffer.alloc(0);
  let came = (): void => undefined;
  ws.on('message', (data: Buffer, binary) => {
    assert.ok(binary, 'a text frame from the broker');
    bytes = Buffer.concat([bytes, data]);
    came();
  });
  ws.on('close', () => came());
  await once(ws, 'open');
  return {
    ws,
    async packets(count) {
      const found: wire.Packet[] = [];
      while (found.length < count) {
        const length = wire.lengthOf(bytes);
        if (length === 0) {
          assert.equal(ws.readyState, WebSocket.OPEN, 'the broker closed');
          await new Promise<void>((resolve) => {
            came = resolve;
          });
          continue;
        }
        found.push(wire.decode(bytes.subarray(0, length), w.version));
        bytes = bytes.subarray(length);
      }
      return found;
    },
  };
}

/** MQTT over WebSocket: section 6 of both standards. */
export const webSockets: readonly Scenario[] = [
  {
    title: 'The broker speaks the subprotocol mqtt, in binary frames',
    '3.1.1': '6.0.0-1 6.0.0-4',
    '5.0': '6.0.0-1 6.0.0-4',
    async run(w) {
      const { ws, packets } = await open(w);
      assert.equal(ws.protocol, 'mqtt');
      ws.send(wire.connect(w.version, w.options('a')));
      ws.send(wire.pingreq);
      const [connack, pong] = await packets(2);
      assert.deepEqual([connack?.type, connack?.codes, pong?.type], ['connack', [0], 'pingresp']);
      ws.terminate();
    },
  },
  {
    title: 'Frames may hold many packets, or parts of one',
    '3.1.1': '6.0.0-2',
    '5.0': '6.0.0-2',
    async run(w) {
      const { ws, packets } = await open(w);
      const topic = w.topic();
      const stream = Buffer.concat([
        wire.connect(w.version, w.options('a')),
        wire.subscribe(w.version, 1, [{ filter: topic }]),
        wire.publish(w.version, topic, 'x'.repeat(300)),
        wire.pingreq,
      ]);
      ws.send(stream.subarray(0, 5));
      ws.send(Buffer.alloc(0));
      for (const byte of stream.subarray(5, 20)) ws.send(Buffer.from([byte]));
      ws.send(stream.subarray(20));
      const types = (await packets(4)).map(({ type }) => type);
      assert.deepEqual(types.slice(0, 2), ['connack', 'suback']);
      assert.deepEqual(types.slice(2).sort(), ['pingresp', 'publish']);
      ws.terminate();
    },
  },
  {
    title: 'A text frame ends the connection',
    '3.1.1': '6.0.0-1',
    '5.0': '6.0.0-1',
    async run(w) {
      const { ws, packets } = await open(w);
      ws.send(wire.connect(w.version, w.options('a')));
      await packets(1);
      ws.send('text');
      await once(ws, 'close');
    },
    mosquitto: 'reads text frames as if they were binary',
  },
  {
    title: 'Messages pass between TCP and WebSocket both ways, and DISCONNECT ends either',
    '3.1.1': '',
    '5.0': '',
    async run(w) {
      const { ws, packets } = await open(w);
      ws.send(wire.connect(w.version, w.options('a')));
      ws.send(wire.subscribe(w.version, 1, [{ filter: w.topic('down'), qos: 1 }]));
      await packets(2);
      const [subscriber, publisher] = await w.pair(w.topic('up'), 1);
      ws.send(wire.publish(w.version, w.topic('up'), 'up', { qos: 1, id: 5 }));
      await subscriber.receive({ payload: 'up' });
      await publisher.publish(w.topic('down'), 'down', { qos: 1 });
      const down = (await packets(2)).find(({ type }) => type === 'publish');
      assert.equal(down?.payload, 'down');
      ws.send(wire.disconnect());
      await once(ws, 'close');
    },
  },
];
