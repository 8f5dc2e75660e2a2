/** Packets to bytes, the one way out: PROTOCOL.md section 5. A packet's JSON is made once, however many receive it. */
import fastJson from 'fast-json-stringify';
import {
  type MessageFields,
  PACKET_FIELDS,
  type Packet,
  type PacketFields,
  type PresenceFields,
  type StatusFields,
} from '../actors/packet.js';
import type { CountedFrame } from '../actors/transport.js';

const text = { type: 'string' } as const;

function serializer<T extends object>({ required, optional }: PacketFields): (fields: T) => string {
  const properties = Object.fromEntries([...required, ...optional].map((name) => [name, text]));
  return fastJson({ type: 'object', properties, required: [...required] });
}

const message = serializer<MessageFields>(PACKET_FIELDS.message);
const presence = serializer<PresenceFields>(PACKET_FIELDS.presence);
const status = serializer<StatusFields>(PACKET_FIELDS.status);

/** Data is JSON already, and an id, which holds nothing to escape, is always last. */
function messageWithData(fields: MessageFields, data: string): string {
  const json = message(fields);
  const at = json.lastIndexOf(',"id":"');
  return `${json.slice(0, at)},"data":${data}${json.slice(at)}`;
}

function encodeMessage(fields: MessageFields): string {
  return fields.data === undefined ? message(fields) : messageWithData(fields, fields.data);
}

/** What a change of presence is told, apart from its receivers: the JSON before and behind each one's id. */
interface Told {
  readonly fields: PresenceFields;
  readonly before: string;
  readonly behind: string;
}

const NO_RECEIVER = ',"to":""';
const NOTHING: PresenceFields = { from: '', to: '', nick: '', type: 'show', show: '', status: '' };

function tell(fields: PresenceFields): Told {
  const json = presence({ ...fields, to: '' });
  // In the JSON of a text its quotation marks are escaped, so that this stands in no field.
  const at = json.indexOf(NO_RECEIVER) + NO_RECEIVER.length - 2;
  return { fields, before: json.slice(0, at), behind: json.slice(at + 2) };
}

/** The last change of presence: all who hear of it are told one after another. */
let told = tell(NOTHING);

function isToldAs(one: PresenceFields, other: PresenceFields): boolean {
  return (
    one.from === other.from &&
    one.nick === other.nick &&
    one.type === other.type &&
    one.show === other.show &&
    one.status === other.status
  );
}

function encodePresence(fields: PresenceFields): string {
  if (!isToldAs(fields, told.fields)) told = tell(fields);
  return told.before + JSON.stringify(fields.to) + told.behind;
}

/** A packet's JSON object. */
export function encodePacket(packet: Packet): string {
  if (packet.frame !== null) return packet.frame.slice(MESSAGES.length, -NOTHING_ELSE.length);
  packet.json ??=
    packet.kind === 'message'
      ? encodeMessage(packet.fields as MessageFields)
      : packet.kind === 'presence'
        ? encodePresence(packet.fields as PresenceFields)
        : status(packet.fields as StatusFields);
  return packet.json;
}

const [LINE_SEPARATOR, PARAGRAPH_SEPARATOR] = ['\u2028', '\u2029'];

/** JSON as it may stand in a script: U+2028 and U+2029 end a line in older JavaScript. To look for them costs a fiftieth of replacing none. */
export function inScript(json: string): string {
  const isPlain = !json.includes(LINE_SEPARATOR) && !json.includes(PARAGRAPH_SEPARATOR);
  return isPlain ? json : json.replaceAll(LINE_SEPARATOR, '\\u2028').replaceAll(PARAGRAPH_SEPARATOR, '\\u2029');
}

/** A frame, for all the clients that get the same packets in the same turn. */
export class Frame {
  #bytes: Buffer | null = null;
  #script: string | null = null;

  constructor(readonly text: string) {}

  /** The frame's text in UTF-8, encoded on first use. */
  get bytes(): Buffer {
    this.#bytes ??= Buffer.from(this.text);
    return this.#bytes;
  }

  /** The frame's text as it may stand in a script, looked through on first use. */
  get script(): string {
    this.#script ??= inScript(this.text);
    return this.#script;
  }
}

const OPENING = '{"status":"ok",';

/**
 * A frame for a client that counts: what it has to know beside its packets stands before the arrays. PROTOCOL.md section
 * 12. `position`: the client's before this frame, where it does not know it; null: it does.
 */
export function encodeCounted({ packets, missed, lost }: CountedFrame, position: string | null): string {
  const { text } = encodeFrame(packets);
  if (position === null && missed === 0) return text;
  const said = position === null ? '' : `"position":"${position}",`;
  const gone = missed === true ? '"missed":true,' : missed > 0 ? `"missed":${missed},"lost":${lost},` : '';
  return OPENING + said + gone + text.slice(OPENING.length);
}

/** A frame without packets that says where its client is. */
export function positionFrame(position: string): string {
  return `${OPENING}"position":"${position}",${EMPTY_FRAME.slice(OPENING.length)}`;
}

/** How a `resume` is answered. */
export function resumedFrame(position: string): string {
  return `${OPENING}"position":"${position}"}`;
}

export const EMPTY_FRAME = '{"status":"ok","messages":[],"presences":[],"statuses":[]}';
/** What a poll is told that another one took the place of, where its client counts. */
export const REPLACED_FRAME = `${OPENING}"replaced":true,${EMPTY_FRAME.slice(OPENING.length)}`;
export const STOPPED_FRAME = '{"status":"stopped"}';
export const SUBSCRIBED_FRAME = '{"status":"ok"}';

const MESSAGES = '{"status":"ok","messages":[';
/** What stands behind the messages of a frame that has nothing else. */
const NOTHING_ELSE = '],"presences":[],"statuses":[]}';

function withItem(items: string, item: string): string {
  return items === '' ? item : `${items},${item}`;
}

function build(packets: readonly Packet[]): Frame {
  const [first] = packets;
  if (first?.kind === 'message' && packets.length === 1) return buildAlone(first);
  let [messages, presences, statuses] = ['', '', ''];
  for (const packet of packets) {
    const json = encodePacket(packet);
    if (packet.kind === 'message') messages = withItem(messages, json);
    else if (packet.kind === 'presence') presences = withItem(presences, json);
    else statuses = withItem(statuses, json);
  }
  const hasOthers = presences !== '' || statuses !== '';
  const others = hasOthers ? `],"presences":[${presences}],"statuses":[${statuses}]}` : NOTHING_ELSE;
  return new Frame(MESSAGES + messages + others);
}

/**
 * The frame of a message that goes out alone, as most do. The message keeps it, as one text once it has been written; of its JSON
 * V8 would keep the many parts that it was joined of, which is 600 bytes more for each message that waits to be confirmed.
 */
function buildAlone(message: Packet): Frame {
  message.frame ??= MESSAGES + encodePacket(message) + NOTHING_ELSE;
  message.json = null;
  return new Frame(message.frame);
}

let lastPackets: readonly Packet[] = [];
let lastFrame = new Frame(EMPTY_FRAME);

/** One frame of these packets, in their order. Members of a room have the same packets one after another: kept. */
export function encodeFrame(packets: readonly Packet[]): Frame {
  const isSame = packets.length === lastPackets.length && packets.every((packet, i) => packet === lastPackets[i]);
  if (!isSame) {
    lastFrame = build(packets);
    lastPackets = packets.slice();
  }
  return lastFrame;
}
