/**
 * Reads the fields of one packet, strictly: section 1.5 of the standard. Where something is wrong, `fault` becomes the
 * reason code and every further read answers nothing, so that a caller checks once, at the end.
 */
import { isUtf8 } from 'node:buffer';
import { REASON } from './reason.js';

const EMPTY = Buffer.alloc(0);
/** What bytes that are not UTF-8 become. It is so rare in valid text that checking such text twice costs nothing. */
const REPLACEMENT = '\ufffd';
/** Control characters: C0, DEL and C1. A receiver may refuse them [MQTT-1.5.4-2], and this one does in topics and names. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

export class Reader {
  fault = 0;

  constructor(
    readonly bytes: Buffer,
    public at: number,
    public end: number,
  ) {}

  fail(reason: number): void {
    if (this.fault === 0) this.fault = reason;
    this.at = this.end;
  }

  byte(): number {
    if (this.at >= this.end) {
      this.fail(REASON.malformed);
      return 0;
    }
    return this.bytes[this.at++] as number;
  }

  short(): number {
    if (this.at + 2 > this.end) {
      this.fail(REASON.malformed);
      return 0;
    }
    const value = ((this.bytes[this.at] as number) << 8) | (this.bytes[this.at + 1] as number);
    this.at += 2;
    return value;
  }

  long(): number {
    if (this.at + 4 > this.end) {
      this.fail(REASON.malformed);
      return 0;
    }
    const value = this.bytes.readUInt32BE(this.at);
    this.at += 4;
    return value;
  }

  /** A variable byte integer: at most four bytes, and no more than it needs [MQTT-1.5.5-1]. */
  varint(): number {
    let value = 0;
    for (let count = 0; count < 4; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * 128 ** count;
      if ((byte & 0x80) !== 0) continue;
      if (byte === 0 && count > 0) this.fail(REASON.malformed);
      return value;
    }
    this.fail(REASON.malformed);
    return 0;
  }

  /** Length-prefixed bytes: a view of the packet, not a copy. */
  binary(): Buffer {
    const length = this.short();
    if (this.at + length > this.end) {
      this.fail(REASON.malformed);
      return EMPTY;
    }
    const value = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return value;
  }

  /** A UTF-8 string: well formed [MQTT-1.5.4-1], without U+0000 [MQTT-1.5.4-2]. */
  text(): string {
    const length = this.short();
    const start = this.at;
    if (start + length > this.end) {
      this.fail(REASON.malformed);
      return '';
    }
    const text = this.bytes.toString('utf8', start, start + length);
    this.at += length;
    if (text.includes('\u0000')) this.fail(REASON.malformed);
    if (text.includes(REPLACEMENT) && !isUtf8(this.bytes.subarray(start, start + length))) this.fail(REASON.malformed);
    return text;
  }

  /** Skips the next string if it is `text`. Answers whether it is; false for any text that is not ASCII. */
  skip(text: string): boolean {
    const { bytes } = this;
    const start = this.at + 2;
    const { length } = text;
    if (start + length > this.end || bytes[this.at] !== length >> 8 || bytes[this.at + 1] !== (length & 0xff))
      return false;
    for (let i = 0; i < length; i++) {
      const byte = bytes[start + i] as number;
      if (byte >= 0x80 || byte !== text.charCodeAt(i)) return false;
    }
    this.at = start + length;
    return true;
  }

  /** A topic, filter, client id or user name: a string without control characters. */
  name(): string {
    const text = this.text();
    if (CONTROL.test(text)) this.fail(REASON.malformed);
    return text;
  }

  /** Fails where something is left. */
  finish(): void {
    if (this.at !== this.end) this.fail(REASON.malformed);
  }
}
