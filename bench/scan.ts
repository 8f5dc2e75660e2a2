/**
 * Where one unit of a byte stream ends: WebSocket frames, MQTT packets, HTTP answers. The load generator counts
 * deliveries with these instead of parsing them, so that its core is not what a benchmark measures.
 *
 * Every scanner takes the bytes, where the unit starts and where what has been read ends, and answers the index after
 * the unit, or -1 while it is incomplete. Bytes from `end` on belong to earlier reads and are never looked at.
 */
export type UnitEnd = (bytes: Buffer, start: number, end: number) => number;

/** Gets one complete unit. */
export type OnUnit = (bytes: Buffer, start: number, end: number) => void;

const newline = 10;
const carriageReturn = 13;

/** Index of the first payload byte of the server's (unmasked) WebSocket frame at `start`. */
export function websocketPayload(bytes: Buffer, start: number): number {
  const length = bytes[start + 1]! & 0x7f;
  return start + (length < 126 ? 2 : length === 126 ? 4 : 10);
}

/** One WebSocket frame, as a server sends it: unmasked. */
export function websocketFrameEnd(bytes: Buffer, start: number, end: number): number {
  if (end - start < 2) return -1;
  const payload = websocketPayload(bytes, start);
  if (payload > end) return -1;
  const short = bytes[start + 1]! & 0x7f;
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(start + 2) : bytes.readUInt32BE(start + 6);
  return payload + length <= end ? payload + length : -1;
}

/** Index of the first byte after the fixed header of the MQTT packet at `start`, or -1 while that is incomplete. */
export function mqttBody(bytes: Buffer, start: number, end: number): number {
  for (let at = start + 1; at < end && at < start + 5; at += 1) {
    if (bytes[at]! < 0x80) return at + 1;
  }
  return -1;
}

/** One MQTT packet. */
export function mqttPacketEnd(bytes: Buffer, start: number, end: number): number {
  const body = mqttBody(bytes, start, end);
  if (body < 0) return -1;
  let length = 0;
  for (let at = body - 1; at > start; at -= 1) length = length * 128 + (bytes[at]! & 0x7f);
  return body + length <= end ? body + length : -1;
}

/** Index of the first byte after the header of the HTTP answer at `start`, or -1 while that is incomplete. */
export function httpBody(bytes: Buffer, start: number, end: number): number {
  for (let at = start; at + 3 < end; at += 1) {
    if (bytes[at] !== carriageReturn || bytes[at + 2] !== carriageReturn) continue;
    if (bytes[at + 1] === newline && bytes[at + 3] === newline) return at + 4;
  }
  return -1;
}

/** The status code of the HTTP answer at `start`. */
export function httpStatus(bytes: Buffer, start: number): number {
  return (bytes[start + 9]! - 48) * 100 + (bytes[start + 10]! - 48) * 10 + (bytes[start + 11]! - 48);
}

/** One HTTP answer with a Content-Length or without a body. Chunked answers are not understood. */
export function httpAnswerEnd(bytes: Buffer, start: number, end: number): number {
  const body = httpBody(bytes, start, end);
  if (body < 0) return -1;
  const total = body + contentLength(bytes, start, body);
  return total <= end ? total : -1;
}

/** Index of the size of the HTTP chunk at `start`: the line break behind the one before may come first. */
function chunkSize(bytes: Buffer, start: number): number {
  return bytes[start] === carriageReturn ? start + 2 : start;
}

/** Index of the first byte of the data of the HTTP chunk at `start`, or -1 while its size is incomplete. */
export function chunkData(bytes: Buffer, start: number, end: number): number {
  const at = bytes.indexOf(newline, chunkSize(bytes, start));
  return at >= 0 && at < end ? at + 1 : -1;
}

/**
 * One chunk of an HTTP answer that is sent in chunks, up to the end of its data: uWebSockets.js sends the line break behind them with the
 * next chunk. The last chunk has no data.
 */
export function chunkEnd(bytes: Buffer, start: number, end: number): number {
  const data = chunkData(bytes, start, end);
  if (data < 0) return -1;
  const after = data + Number.parseInt(bytes.toString('latin1', chunkSize(bytes, start), data), 16);
  return after <= end ? after : -1;
}

const lengthName = 'content-length:';

/** The Content-Length of the header from `start` to `end`, 0 without one. */
function contentLength(bytes: Buffer, start: number, end: number): number {
  for (let at = start; at < end; at += 1) {
    if (bytes[at] !== newline || !isNamed(bytes, at + 1, lengthName)) continue;
    let value = 0;
    for (let digit = at + 1 + lengthName.length; bytes[digit] !== carriageReturn; digit += 1) {
      if (bytes[digit] !== 32) value = value * 10 + bytes[digit]! - 48;
    }
    return value;
  }
  return 0;
}

/** Whether the header line at `at` begins with `name`, which is in lower case. */
function isNamed(bytes: Buffer, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i += 1) {
    const byte = bytes[at + i]!;
    const lower = byte >= 65 && byte <= 90 ? byte + 32 : byte;
    if (lower !== name.charCodeAt(i)) return false;
  }
  return true;
}

/** The value of a header of the HTTP answer from `start` to `end`; `name` in lower case with its colon. */
export function httpHeader(bytes: Buffer, start: number, end: number, name: string): string {
  for (let at = start; at < end; at += 1) {
    if (bytes[at] !== newline || !isNamed(bytes, at + 1, name)) continue;
    return bytes.toString('latin1', at + 1 + name.length, bytes.indexOf(carriageReturn, at)).trim();
  }
  return '';
}

/** Cuts what a socket reads into units; an incomplete one is kept until the rest arrives. */
export class Splitter {
  unitEnd: UnitEnd;
  onUnit: OnUnit;
  #rest: Buffer | null = null;

  constructor(unitEnd: UnitEnd, onUnit: OnUnit) {
    this.unitEnd = unitEnd;
    this.onUnit = onUnit;
  }

  /** Takes the first `length` of `read`, which may be overwritten afterwards. */
  feed(read: Buffer, length: number): void {
    let bytes = read;
    let end = length;
    if (this.#rest !== null) {
      bytes = Buffer.concat([this.#rest, read.subarray(0, length)]);
      end = bytes.length;
      this.#rest = null;
    }
    let start = 0;
    while (start < end) {
      const next = this.unitEnd(bytes, start, end);
      if (next < 0) break;
      this.onUnit(bytes, start, next);
      start = next;
    }
    if (start < end) this.#rest = Buffer.from(bytes.subarray(start, end));
  }
}

/**
 * How many messages a delivered frame of `length` bytes holds, when one message alone makes `one` bytes and none makes
 * `empty`: NexTalk gathers several into one frame, with a comma between them.
 */
export function messagesIn(length: number, one: number, empty: number): number {
  return length === one ? 1 : Math.round((length - empty + 1) / (one - empty + 1));
}
