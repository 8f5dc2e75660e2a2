/** What a frame of the server holds, read from its bytes: to parse the JSON would cost a process of clients more than to receive it. */

const frameStart = Buffer.from('{"status":"ok","messages":[');
const bodyStart = Buffer.from('"body":"');
const listEnd = ']'.charCodeAt(0);
const space = ' '.charCodeAt(0);

/** Gets a message's id, and the milliseconds at which it was due. */
export type OnMessage = (id: number, dueMs: number) => void;

/** The body of a message that is to be recognized; the milliseconds are those of a clock that all processes share. */
export function messageBody(id: number, dueMs: number): string {
  return `${id} ${dueMs.toFixed(3)} quick brown fox`;
}

export function isEqual(bytes: Buffer, start: number, end: number, expected: Buffer): boolean {
  return end - start === expected.length && beginsWith(bytes, start, end, expected);
}

function beginsWith(bytes: Buffer, start: number, end: number, expected: Buffer): boolean {
  if (end - start < expected.length) return false;
  for (let at = 0; at < expected.length; at += 1) if (bytes[start + at] !== expected[at]) return false;
  return true;
}

/** Reads the messages of a frame from `start` to `end`; answers how many. Throws where it is no frame, or has messages that `messageBody` has not made. */
export function readMessages(bytes: Buffer, start: number, end: number, onMessage: OnMessage): number {
  const list = start + frameStart.length;
  if (list >= end || !beginsWith(bytes, start, end, frameStart))
    throw new Error(`no frame: ${text(bytes, start, end)}`);
  if (bytes[list] === listEnd) return 0;
  // What is behind the frame in the buffer, which is long, is not searched.
  const frame = bytes.subarray(list, end);
  let count = 0;
  for (let at = frame.indexOf(bodyStart); at >= 0; at = frame.indexOf(bodyStart, at)) {
    at += bodyStart.length;
    const idEnd = frame.indexOf(space, at);
    const id = Number(text(frame, at, idEnd));
    const dueMs = Number(text(frame, idEnd + 1, frame.indexOf(space, idEnd + 1)));
    if (idEnd < 0 || Number.isNaN(id + dueMs)) throw new Error(`no message of ours: ${text(bytes, start, end)}`);
    onMessage(id, dueMs);
    count += 1;
  }
  if (count === 0) throw new Error(`no message of ours: ${text(bytes, start, end)}`);
  return count;
}

const text = (bytes: Buffer, start: number, end: number): string => bytes.toString('latin1', start, end);
