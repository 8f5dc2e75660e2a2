import { writeToStream } from 'mqtt-packet';
import t from 'tap';
import { Publication, type PublicationFields } from '../../src/actors/publication.js';
import * as encode from '../../src/protocols/mqtt/encode.js';
import { plain } from './support/publish.js';

function publication(fields: Partial<PublicationFields> = {}): Publication {
  return new Publication({
    topic: 't',
    payload: Buffer.from('hi'),
    qos: 2,
    retain: false,
    properties: Buffer.alloc(0),
    expiresAt: Number.POSITIVE_INFINITY,
    publisher: null,
    ...fields,
  });
}

t.test('PUBLISH is written in each form', async (t) => {
  const hex = (fields: Partial<PublicationFields>, options: Partial<encode.PublishOptions>) =>
    encode.encodePublish(publication(fields), { ...plain, ...options }).toString('hex');
  t.equal(hex({}, {}), '3005000174' + '6869');
  t.equal(hex({}, { version: 5, retain: true }), '31060001740068' + '69');
  t.equal(hex({}, { qos: 2, dup: true, id: 258 }), '3c0700017401026869');
  const properties = Buffer.from('2600016b000176', 'hex');
  const all = { version: 5, qos: 1, id: 1, alias: 3, identifiers: [1, 300] } as const;
  t.equal(
    hex({ properties, expiresAt: 1500 }, all),
    '321c 0001 74 0001 14 2600016b000176 0200000002 230003 0b01 0bac02 6869'.replaceAll(' ', ''),
  );
  t.equal(hex({}, { version: 5, alias: 3, omitTopic: true }), '3008000003230003' + '6869');
  t.equal(hex({ payload: Buffer.alloc(200) }, {}).slice(0, 12), '30cb01000174');
});

t.test('At QoS 0 all receivers of a version share one buffer', async (t) => {
  const shared = publication();
  const bytes = (options: Partial<encode.PublishOptions>) => encode.encodePublish(shared, { ...plain, ...options });
  t.equal(bytes({}), bytes({}));
  t.equal(bytes({ version: 3 }), bytes({ version: 4 }));
  t.not(bytes({}), bytes({ version: 5 }));
  t.not(bytes({}), bytes({ retain: true }));
  t.not(bytes({ version: 5 }), bytes({ version: 5, identifiers: [1] }));
});

t.test('Acknowledgements are as short as they can be', async (t) => {
  const hex = (...args: Parameters<typeof encode.encodeAck>) => encode.encodeAck(...args).toString('hex');
  t.equal(hex(4, 'puback', 258, 0x87), '40020102');
  t.equal(hex(5, 'pubrec', 1), '50020001');
  t.equal(hex(5, 'pubrec', 1, 0x87), '5003000187');
  t.equal(hex(5, 'puback', 1, 0x99, 'no'), '4009000199051f00026e6f');
  t.equal(hex(4, 'pubrel', 1), '62020001');
});

t.test('the first packet of a process makes no table of 65,536 numbers', async (t) => {
  t.notOk(writeToStream.cacheNumbers);
});

t.test('CONNACK, SUBACK, UNSUBACK and DISCONNECT are written', async (t) => {
  t.equal(encode.encodeConnack(4, true, { receiveMaximum: 5 }).toString('hex'), '20020100');
  t.equal(encode.encodeConnack(3, true, {}).toString('hex'), '20020000', '3.1 does not tell');
  t.equal(
    encode.encodeConnack(5, false, { topicAliasMaximum: 10, receiveMaximum: 20 }).toString('hex'),
    '200900000622000a210014',
  );
  t.equal(encode.encodeRefusal(5, 0x86)?.toString('hex'), '2003008600');
  t.equal(encode.encodeRefusal(4, 0x86)?.toString('hex'), '20020004');
  t.equal(encode.encodeRefusal(4, 0x8c), null);
  t.equal(encode.encodeSuback(5, 1, [0, 0x87]).toString('hex'), '90050001000087');
  t.equal(encode.encodeUnsuback(4, 1, [0]).toString('hex'), 'b0020001');
  t.equal(encode.encodeDisconnect(0x8e).toString('hex'), 'e0018e');
});
