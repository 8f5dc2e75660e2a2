/** Packets to bytes, the one way out: PROTOCOL.md section 5. A packet's JSON is made once, however many receive it. */
import type { MessageFields, Packet, PresenceFields, StatusFields } from '../actors/packet.js';
import type { CountedFrame } from '../actors/transport.js';

/** What JSON escapes, and surrogates, whole pairs among them. */
const ESCAPED = /[\u0000-\u001f"\\\ud800-\udfff]/;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];
/** In characters. Shorter texts are looked through faster one by one than by the regular expression. */
const SHORT = 40;

function isPlain(text: string): boolean {
  if (text.length > SHORT) return !ESCAPED.test(text);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code === QUOTE || code === BACKSLASH || (code >= 0xd800 && code < 0xe000)) return false;
  }
  return true;
}

/** A text as it stands between the quotation marks of a JSON string. */
function inJson(text: string): string {
  return isPlain(text) ? text : JSON.stringify(text).slice(1, -1);
}

/** A field as it stands behind others; empty where it is missing. */
function optional(name: string, text: string | undefined): string {
  return text === undefined ? '' : `,"${name}":"${inJson(text)}"`;
}

/** The field that is JSON already. */
function dataOf({ data }: MessageFields): string {
  return data === undefined ? '' : `,"data":${data}`;
}

function messageJson(fields: MessageFields): string {
  const { from, to, nick, timestamp, type, body, style, avatar, to_name, to_avatar, to_other, id } = fields;
  const sent = `"from":"${inJson(from)}","to":"${inJson(to)}","nick":"${inJson(nick)}","timestamp":"${inJson(timestamp)}"`;
  const said = `"type":"${inJson(type)}","body":"${inJson(body)}","style":"${inJson(style)}"`;
  const names = optional('avatar', avatar) + optional('to_name', to_name);
  const others = optional('to_avatar', to_avatar) + optional('to_other', to_other);
  return `{${sent},${said}${names}${others}${dataOf(fields)}${optional('id', id)}}`;
}

/** What a change of presence is told, apart from its receivers: the JSON before and behind each one's id. */
interface Told {
  readonly fields: PresenceFields;
  readonly before: string;
  readonly behind: string;
}

const NOTHING: PresenceFields = { from: '', to: '', nick: '', type: 'show', show: '', status: '' };

function tell(fields: PresenceFields): Told {
  const { from, nick, type, show, status } = fields;
  const seen = `"type":"${inJson(type)}","show":"${inJson(show)}","status":"${inJson(status)}"`;
  return { fields, before: `{"from":"${inJson(from)}","to":"`, behind: `","nick":"${inJson(nick)}",${seen}}` };
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

function presenceJson(fields: PresenceFields): string {
  if (!isToldAs(fields, told.fields)) told = tell(fields);
  return told.before + inJson(fields.to) + told.behind;
}

function statusJson({ from, to, nick, show }: StatusFields): string {
  return `{"from":"${inJson(from)}","to":"${inJson(to)}","nick":"${inJson(nick)}","show":"${inJson(show)}"}`;
}

/** A packet's JSON object: its fields in the order of `PACKET_FIELDS`. */
export function encodePacket(packet: Packet): string {
  packet.json ??=
    packet.kind === 'message'
      ? messageJson(packet.fields as MessageFields)
      : packet.kind === 'presence'
        ? presenceJson(packet.fields as PresenceFields)
        : statusJson(packet.fields as StatusFields);
  return packet.json;
}

/** A frame, for all the clients that get the same packets in the same turn. */
export class Frame {
  #bytes: Buffer | null = null;

  constructor(readonly text: string) {}

  /** The frame's text in UTF-8, encoded on first use. */
  get bytes(): Buffer {
    this.#bytes ??= Buffer.from(this.text);
    return this.#bytes;
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
const NOTHING_ELSE = '],"presences":[],"statuses":[]}';

function withItem(items: string, item: string): string {
  return items === '' ? item : `${items},${item}`;
}

function build(packets: readonly Packet[]): Frame {
  let [messages, presences, statuses] = ['', '', ''];
  for (const packet of packets) {
    const json = encodePacket(packet);
    if (packet.kind === 'message') messages = withItem(messages, json);
    else if (packet.kind === 'presence') presences = withItem(presences, json);
    else statuses = withItem(statuses, json);
  }
  const hasOthers = presences !== '' || statuses !== '';
  const others = hasOthers ? `],"presences":[${presences}],"statuses":[${statuses}]}` : NOTHING_ELSE;
  const text = MESSAGES + messages + others;
  const [first] = packets;
  // Cut from the finished frame, the message's JSON is a flat text. V8 keeps a joined text as its many parts, which costs
  // 600 bytes more for each message that waits to be confirmed.
  if (first?.kind === 'message' && packets.length === 1)
    first.json = text.slice(MESSAGES.length, MESSAGES.length + messages.length);
  return new Frame(text);
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
