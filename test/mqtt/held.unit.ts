/** Connections whose owner is asked for twice: when the server has started, and then on other nodes. */
import { generate } from 'mqtt-packet';
import t from 'tap';
import type { ConnectionOwner, Host } from '../../src/protocols/mqtt/connection.js';
import type { Carrier } from '../../src/protocols/mqtt/tunnel.js';
import { testMachine } from './support/broker.js';
import { TestDevice } from './support/device.js';

const nothing = (): void => undefined;
const CONNECT = generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clientId: 'a', keepalive: 0 });
const PINGREQ = generate({ cmd: 'pingreq' });

/** A connection that waits for the second answer. */
function held(t: Parameters<typeof testMachine>[0]): TestDevice {
  const { host } = testMachine(t);
  t.teardown(() => device.connection.end());
  const connect: Host['connect'] = (connection) => {
    connection.hold();
    return null;
  };
  Object.assign(host, { connect });
  const device = new TestDevice(host);
  device.raw(CONNECT);
  device.connection.hold();
  device.connection.resumeAs(null);
  device.raw(PINGREQ);
  return device;
}

t.test('What comes behind CONNECT meanwhile goes to the owner', async (t) => {
  const received: string[] = [];
  const owner: ConnectionOwner = {
    received: ({ cmd }) => void received.push(cmd),
    refused: nothing,
    lost: nothing,
    drained: nothing,
  };
  held(t).connection.resumeAs(owner);
  t.strictSame(received, ['pingreq']);
});

t.test('or is carried to another node, behind CONNECT', async (t) => {
  const carried: Buffer[] = [];
  const carrier: Carrier = { carry: (bytes) => void carried.push(bytes), drained: nothing, lost: nothing };
  held(t).connection.carryBy(carrier);
  t.strictSame(Buffer.concat(carried), Buffer.concat([CONNECT, PINGREQ]));
});
