/** Publications to addresses whose sender names them, or asks what becomes of them: PROTOCOL.md section 11. */
import type { MqttClient } from 'mqtt';
import t from 'tap';
import { type Cleaner, siteA, type TestServer, testServer } from '../support/server.js';
import { client } from './support/clients.js';

const domains = [{ ...siteA, offline: true }];
const to = (name: string) => `/domain/a.example/uid/${name}`;

interface Acknowledgement {
  readonly properties?: { readonly userProperties?: Readonly<Record<string, unknown>> };
}

/** Publishes and answers the properties of the PUBACK or PUBREC. */
async function ask(
  device: MqttClient,
  topic: string,
  payload: object | string,
  said: Record<string, string | string[]> = {},
  qos: 1 | 2 = 1,
): Promise<Record<string, unknown>> {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const acknowledged = new Promise<Acknowledgement>((resolve) => {
    const take = (packet: { cmd: string }) => {
      if (packet.cmd !== (qos === 1 ? 'puback' : 'pubrec')) return;
      device.off('packetreceive', take as never);
      resolve(packet as unknown as Acknowledgement);
    };
    device.on('packetreceive', take as never);
  });
  const properties = Object.keys(said).length > 0 ? { userProperties: said } : {};
  await device.publishAsync(topic, text, { qos, properties });
  return { ...(await acknowledged).properties?.userProperties };
}

async function devices(t: Cleaner, server: TestServer, protocolVersion: 4 | 5 = 5): Promise<[MqttClient, MqttClient]> {
  const { ticket } = await server.site().online('anna', { rooms: 'lobby' });
  const url = `mqtt://127.0.0.1:${server.mqttPort}`;
  const common = { username: 'a.example', protocolVersion } as const;
  return [
    (await client(t, url, { ...common, password: siteA.apikey, clientId: 'site' })).client,
    (await client(t, url, { ...common, password: ticket, clientId: 'anna' })).client,
  ];
}

t.test('PUBACK and PUBREC say what became of a message whose publisher asks', async (t) => {
  const server = await testServer(t, { domains, data: t.testdir(), mqtt: { port: -1 } });
  const [site, anna] = await devices(t, server);
  const jack = await server.site().arrive('jack', { rooms: 'lobby' });
  const said = { from: 'shop', body: 'hi' };
  for (const qos of [1, 2] as const) {
    const receipt = { receipt: '1', id: `a${qos}` };
    t.strictSame(await ask(site, to('jack'), said, receipt, qos), { id: `a${qos}`, outcome: 'delivered' });
    t.strictSame(await ask(anna, to('jack'), said, receipt, qos), { id: `a${qos}`, outcome: 'delivered' });
  }
  t.match(await ask(site, to('nobody'), said, { receipt: '1' }), { id: /^\w{26}$/, outcome: 'stored' });
  t.match(await ask(anna, '/domain/a.example/gid/lobby', 'all', { receipt: '1' }), {
    outcome: 'delivered',
    members: '2',
  });
  for (let n = 0; n < 4; n++) t.hasStrict(await jack.next(), { to: 'jack' });
  t.hasStrict(await jack.next(), { to: 'lobby' });
});

t.test('who does not ask is told nothing, nor who wants no word about problems', async (t) => {
  const server = await testServer(t, { domains, data: t.testdir(), mqtt: { port: -1 } });
  const [site, anna] = await devices(t, server);
  t.strictSame(await ask(site, to('jack'), { from: 'shop', body: 'hi' }), {});
  t.strictSame(await ask(anna, to('jack'), 'hi', { receipt: '0', id: 'x' }), {});
  const { client: quiet } = await client(t, `mqtt://127.0.0.1:${server.mqttPort}`, {
    username: 'a.example',
    password: siteA.apikey,
    protocolVersion: 5,
    clientId: 'quiet',
    properties: { requestProblemInformation: false },
  });
  t.strictSame(await ask(quiet, to('jack'), { from: 'shop', body: 'hi' }, { receipt: '1' }), {}, '[MQTT-3.1.2-29]');
});

t.test('a publication that comes again under its id is delivered to nobody', async (t) => {
  const server = await testServer(t, { mqtt: { port: -1 } });
  const [site, anna] = await devices(t, server);
  const jack = await server.site().arrive('jack');
  for (let n = 0; n < 2; n++) {
    const first = { id: 'order-7', receipt: '1' };
    t.strictSame(await ask(site, to('jack'), { from: 'shop', body: 'site' }, first), {
      id: 'order-7',
      outcome: 'delivered',
    });
    t.strictSame(await ask(anna, to('jack'), { body: 'anna', id: 'by payload' }, first), {
      id: 'order-7',
      outcome: 'delivered',
    });
    await site.publishAsync(to('jack'), JSON.stringify({ from: 'shop', body: 'QoS 0', id: 'order-8' }), { qos: 0 });
  }
  for (const body of ['site', 'anna', 'QoS 0']) t.hasStrict(await jack.next(), { body });
  t.strictSame(await jack.before(), []);
});

t.test('of several user properties of one name the last counts, and a wrong id is refused', async (t) => {
  const server = await testServer(t, { mqtt: { port: -1 } });
  const [site, anna] = await devices(t, server);
  const said = { from: 'shop', body: 'hi' };
  t.match(await ask(site, to('jack'), said, { id: ['a', 'b'], receipt: ['0', '1'], other: 'x' }), { id: 'b' });
  for (const device of [site, anna]) {
    await t.rejects(
      device.publishAsync(to('jack'), JSON.stringify(said), { qos: 1, properties: { userProperties: { id: 'a b' } } }),
      /Payload format invalid/,
    );
  }
});

t.test('a message by MQTT may carry data, and 3.1.1 names messages in its payload', async (t) => {
  const server = await testServer(t, { mqtt: { port: -1 } });
  const [site] = await devices(t, server, 4);
  const jack = await server.site().arrive('jack');
  for (let n = 0; n < 2; n++) {
    const payload = { from: 'shop', body: 'a card', data: { n: [1] }, id: 'order-7', receipt: 1 };
    await site.publishAsync(to('jack'), JSON.stringify(payload), { qos: 1 });
  }
  t.match(await jack.next(), { body: 'a card', data: { n: [1] } });
  t.strictSame(await jack.before(), []);
});
