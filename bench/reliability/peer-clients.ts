/** Clients of the peers, as their own libraries have them come back: Socket.IO, and a WebSocket of bare uWebSockets.js. */
import { Client, type Connection, opening, openSocket } from './clients.js';

/** Socket.IO 4 over WebSocket: says its `pid` and the offset of its last packet where the server recovers connections. */
export class SocketIoClient extends Client {
  #pid: string | undefined;
  #offset: string | undefined;

  open(): Promise<Connection> {
    return opening((opened, over) => {
      const { link, ticket, ledger } = this.person;
      const path = `/socket.io/?EIO=4&transport=websocket&user=${ticket}`;
      const read = (text: string, say: (text: string) => void): void => {
        if (text === '2') return say('3');
        if (text.startsWith('0')) {
          return say(this.#pid ? `40${JSON.stringify({ pid: this.#pid, offset: this.#offset })}` : '40');
        }
        if (text.startsWith('40')) {
          this.#pid = (JSON.parse(text.slice(2)) as { readonly pid?: string }).pid;
          return opened();
        }
        if (!text.startsWith('42')) return;
        const [, body, offset] = JSON.parse(text.slice(2)) as [string, string, string?];
        this.#offset = offset;
        ledger.came(Number(body), undefined);
      };
      return openSocket(link, path, read, over);
    });
  }
}

export class BareClient extends Client {
  open(): Promise<Connection> {
    return opening((opened, over) => {
      const { link, ticket, ledger } = this.person;
      const read = (text: string): void => ledger.came(Number(text), undefined);
      return openSocket(link, `/ws/${ticket}`, read, over, opened);
    });
  }
}
