/**
 * The text `ping {position}`, which is most of what a client with nothing to say sends: 10,000 of them send 500 a second. It is read
 * from its bytes, without becoming a text that is taken apart. PROTOCOL.md section 12.
 */
const START = Buffer.from('ping ');
const DOT = 0x2e;
const ZERO = 0x30;
const MOST_DIGITS = 15;
/** The answer for a text that is not `ping` with a position of the era. */
export const OTHER_TEXT = -1;

/** The number that a client says with its ping, where its position is of this era; OTHER_TEXT where the text is any other. */
export function pingedNumber(message: ArrayBuffer, era: string): number {
  const dot = START.length + era.length;
  const digits = message.byteLength - dot - 1;
  if (era === '' || digits < 1 || digits > MOST_DIGITS) return OTHER_TEXT;
  const bytes = new Uint8Array(message);
  for (let at = 0; at < START.length; at++) if (bytes[at] !== START[at]) return OTHER_TEXT;
  for (let at = START.length; at < dot; at++) if (bytes[at] !== era.charCodeAt(at - START.length)) return OTHER_TEXT;
  if (bytes[dot] !== DOT) return OTHER_TEXT;
  let number = 0;
  for (let at = dot + 1; at < bytes.length; at++) {
    const digit = (bytes[at] as number) - ZERO;
    if (digit < 0 || digit > 9) return OTHER_TEXT;
    number = number * 10 + digit;
  }
  return number;
}
