/** Clients of the peers, as their own libraries have them come back: Socket.IO, and a WebSocket of bare uWebSockets.js. */
import { WebSocket } from 'ws';
import { Client, type Connection, opening } from './clients.js';

/** Socket.IO 4 over WebSocket: says its `pid` and the offset of its last packet where the server recovers connections. */
export class SocketIoClient extends Client {
  #pid: string | undefined;
  #offset: string | undefined;

  open(): Promise<Connection> {
    return opening((opened, over) => {
      const { link, ticket, ledger } = this.person;
      const url = `ws://127.0.0.1:${link.port}/socket.io/?EIO=4&transport=websocket&user=${ticket}`;
      const socket = new WebSocket(url, { perMessageDeflate: false });
      socket.on('error', () => undefined);
      socket.on('close', () => over());
      socket.on('message', (data) => {
        const text = data.toString();
        if (text === '2') return socket.send('3');
        if (text.startsWith('0')) {
          return socket.send(this.#pid ? `40${JSON.stringify({ pid: this.#pid, offset: this.#offset })}` : '40');
        }
        if (text.startsWith('40')) {
          this.#pid = (JSON.parse(text.slice(2)) as { readonly pid?: string }).pid;
          return opened();
        }
        if (!text.startsWith('42')) return;
        const [, body, offset] = JSON.parse(text.slice(2)) as [string, string, string?];
        this.#offset = offset;
        ledger.came(Number(body), undefined);
      });
      return () => socket.terminate();
    });
  }
}

export class BareClient extends Client {
  open(): Promise<Connection> {
    return opening((opened, over) => {
      const { link, ticket, ledger } = this.person;
      const socket = new WebSocket(`ws://127.0.0.1:${link.port}/ws/${ticket}`, { perMessageDeflate: false });
      socket.on('error', () => undefined);
      socket.on('open', opened);
      socket.on('close', () => over());
      socket.on('message', (data) => ledger.came(Number(data.toString()), undefined));
      return () => socket.terminate();
    });
  }
}
