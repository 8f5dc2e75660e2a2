/** A WebSocket client that knows no more than a benchmark needs: texts out, counted frames in, pings answered. */
import { httpBody, httpStatus, type OnUnit, websocketFrameEnd, websocketPayload } from '../scan.js';
import { type OpenWire, Wire } from './wire.js';

const textOpcode = 1;
const pingOpcode = 9;

/** A client's text frame. The mask is zero, so that the payload needs no work: servers accept every mask. */
export function textFrame(text: string): Buffer {
  return clientFrame(textOpcode, Buffer.from(text));
}

function clientFrame(opcode: number, payload: Buffer): Buffer {
  const long = payload.length > 125;
  const head = Buffer.alloc(long ? 8 : 6);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (long ? 126 : payload.length);
  if (long) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

export interface WebSocketOptions {
  readonly port: number;
  readonly path: string;
  readonly host?: string | undefined;
  /** The server ended the connection, once it was open. */
  readonly onClose?: (() => void) | undefined;
  /** Gets the bytes of each text: where they start and end. */
  readonly onText: OnUnit;
  /** Called once after all frames of one read. */
  readonly onRead?: () => void;
  /** Makes the connection, where that is not plain TCP. */
  readonly openWire?: OpenWire;
}

export class WebSocketClient {
  readonly #wire: Wire;
  onText: OnUnit;

  private constructor(wire: Wire, onText: OnUnit) {
    this.#wire = wire;
    this.onText = onText;
  }

  /** Resolves once the server has accepted the upgrade. */
  static async open(options: WebSocketOptions): Promise<WebSocketClient> {
    let upgraded: (client: WebSocketClient) => void = () => {};
    let refused: (error: Error) => void = () => {};
    const opened = new Promise<WebSocketClient>((resolve, reject) => {
      upgraded = resolve;
      refused = reject;
    });
    const openWire = options.openWire ?? Wire.open;
    const wire = await openWire({
      port: options.port,
      host: options.host,
      unitEnd: httpBody,
      onUnit: (bytes, start) => {
        const status = httpStatus(bytes, start);
        if (status !== 101) {
          wire.close();
          return refused(new Error(`WebSocket upgrade of ${options.path} answered ${status}`));
        }
        const client = new WebSocketClient(wire, options.onText);
        wire.onClose = options.onClose;
        wire.splitter.unitEnd = websocketFrameEnd;
        wire.splitter.onUnit = (frame, from, to) => client.#receive(frame, from, to);
        upgraded(client);
      },
      onRead: options.onRead,
    });
    wire.onClose = () => refused(new Error(`WebSocket ${options.path} was closed before it was open`));
    wire.write(
      Buffer.from(
        `GET ${options.path} HTTP/1.1\r\nHost: 127.0.0.1:${options.port}\r\nUpgrade: websocket\r\n` +
          'Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
      ),
    );
    return opened;
  }

  /** Sends bytes made by `textFrame`. */
  send(frame: Buffer): void {
    this.#wire.write(frame);
  }

  close(): void {
    this.#wire.close();
  }

  #receive(bytes: Buffer, start: number, end: number): void {
    const opcode = bytes[start]! & 0x0f;
    const payload = websocketPayload(bytes, start);
    if (opcode === textOpcode) this.onText(bytes, payload, end);
    else if (opcode === pingOpcode) this.#wire.write(clientFrame(10, Buffer.from(bytes.subarray(payload, end))));
  }
}
