/** Socket.IO over its WebSocket transport, from the wire: open packet, connect, events; its pings answered. */
import type { OnUnit } from '../scan.js';
import { textFrame, WebSocketClient } from './websocket.js';

const openPacket = '0'.charCodeAt(0);
const pingPacket = '2'.charCodeAt(0);
const messagePacket = '4'.charCodeAt(0);
const eventPacket = '2'.charCodeAt(0);

/** Resolves once the server has accepted the client into the default namespace. */
export function openSocketIo(port: number, onEvent: OnUnit): Promise<WebSocketClient> {
  return new Promise((resolve, reject) => {
    let client: WebSocketClient | undefined;
    const onText: OnUnit = (bytes, start, end) => {
      const kind = bytes[start];
      if (kind === messagePacket && bytes[start + 1] === eventPacket) onEvent(bytes, start, end);
      else if (kind === messagePacket && client !== undefined) resolve(client);
      else if (kind === pingPacket) client?.send(textFrame('3'));
      else if (kind === openPacket) opened.then((socket) => socket.send(textFrame('40')), reject);
    };
    const opened = WebSocketClient.open({ port, path: '/socket.io/?EIO=4&transport=websocket', onText });
    opened.then((socket) => {
      client = socket;
    }, reject);
  });
}
