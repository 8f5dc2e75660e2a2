/** The JSON body of a request to the admin port, bounded. */
import type { IncomingMessage } from 'node:http';
import type { Plain } from '../directory/registers.js';

const BODY_BYTES = 256 * 1024;

/** Reads a body to its end, keeping no more than is taken; null where it is longer. */
export async function readText(message: IncomingMessage): Promise<string | null> {
  let text = '';
  for await (const chunk of message.setEncoding('utf8')) {
    if (text.length <= BODY_BYTES) text += chunk;
  }
  return text.length <= BODY_BYTES ? text : null;
}

/** The object that a body holds, or what is wrong with it; an empty body is an empty object. */
export async function readObject(message: IncomingMessage): Promise<Plain | string> {
  const text = await readText(message);
  if (text === null) return `the body must be at most ${BODY_BYTES} bytes`;
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Plain)
      : 'the body must be a JSON object';
  } catch {
    return 'the body must be a JSON object';
  }
}
