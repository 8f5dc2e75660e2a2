/** The bodies of SUBSCRIBE and UNSUBSCRIBE → what they ask for, or why they are refused: MQTT 5 sections 3.8 and 3.10. */
import type { Qos } from '../../actors/publication.js';
import { isFilter } from '../../actors/topic.js';
import { type Refused, refused, type Subscribe, type Unsubscribe, type Version, type Wanted } from './packets.js';
import { ALLOWED, PROPERTY, readProperties } from './properties.js';
import type { Reader } from './reader.js';
import { REASON } from './reason.js';
import { isShare, isTooDeep, parseShare } from './topics.js';

/** Bits of a subscription's options, section 3.8.3.1. */
const OPTION = Object.freeze({ qos: 0x03, noLocal: 0x04, retainAsPublished: 0x08, retainHandling: 0x30 });
/** Bits that are reserved. */
const RESERVED = Object.freeze({ 3: 0xfc, 4: 0xfc, 5: 0xc0 });

function readIdentifier(reader: Reader): number {
  const id = reader.short();
  if (id === 0) reader.fail(REASON.malformed); // [MQTT-2.2.1-3]
  return id;
}

function readFilter(reader: Reader): string {
  const filter = reader.name();
  if (reader.fault !== 0) return '';
  if (!isFilter(filter) || isTooDeep(filter))
    reader.fail(REASON.malformed); // [MQTT-4.7.1-1] [MQTT-4.7.3-1]
  else if (isShare(filter) && parseShare(filter) === null) reader.fail(REASON.protocolError);
  return filter;
}

/** A filter and its options, which must be those of the version [MQTT-3.8.3-5]. */
function readWanted(reader: Reader, version: Version): Wanted {
  const filter = readFilter(reader);
  const options = reader.byte();
  const qos = options & OPTION.qos;
  const retainHandling = (options & OPTION.retainHandling) >> 4;
  const noLocal = (options & OPTION.noLocal) !== 0;
  const isMalformed = (options & RESERVED[version]) !== 0 || qos === 3 || retainHandling === 3;
  if (isMalformed) reader.fail(REASON.malformed); // [MQTT-3.8.3-4]
  if (noLocal && isShare(filter)) reader.fail(REASON.protocolError); // [MQTT-3.8.3-4] of 5.0
  return {
    filter,
    qos: qos as Qos,
    noLocal,
    retainAsPublished: (options & OPTION.retainAsPublished) !== 0,
    retainHandling,
  };
}

/** The subscription identifier; 0: there is none. */
function readSubscriptionIdentifier(reader: Reader): number {
  let identifier = 0;
  const number = (id: number, value: number) => {
    if (id !== PROPERTY.subscriptionIdentifier) return;
    identifier = value;
    if (value === 0) reader.fail(REASON.malformed);
  };
  readProperties(reader, ALLOWED.subscribe, { number }, REASON.malformed);
  return identifier;
}

/** SUBSCRIBE, which names at least one filter [MQTT-3.8.3-2]. */
export function decodeSubscribe(reader: Reader, version: Version): Subscribe | Refused {
  const id = readIdentifier(reader);
  const identifier = version === 5 ? readSubscriptionIdentifier(reader) : 0;
  if (reader.at === reader.end) reader.fail(REASON.malformed);
  const wanted: Wanted[] = [];
  while (reader.at < reader.end) wanted.push(readWanted(reader, version));
  return reader.fault === 0 ? { cmd: 'subscribe', id, identifier, wanted } : refused(reader.fault);
}

/** UNSUBSCRIBE, which names at least one filter [MQTT-3.10.3-2]. */
export function decodeUnsubscribe(reader: Reader, version: Version): Unsubscribe | Refused {
  const id = readIdentifier(reader);
  if (version === 5) readProperties(reader, ALLOWED.unsubscribe, {}, REASON.malformed);
  if (reader.at === reader.end) reader.fail(REASON.malformed);
  const filters: string[] = [];
  while (reader.at < reader.end) filters.push(readFilter(reader));
  return reader.fault === 0 ? { cmd: 'unsubscribe', id, filters } : refused(reader.fault);
}
