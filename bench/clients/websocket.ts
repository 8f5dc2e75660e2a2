/** A WebSocket client that knows no more than a benchmark needs: texts out, counted frames in, pings answered. */
import { httpBody, httpStatus, type OnUnit, websocketFrameEnd, websocketPayload } from '../scan.js';
import { type OpenWire, Wire } from './wire.js';

const textOpcode = 1;
const pingOpcode = 9;
const pongOpcode = 10;

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

/** The answer to a ping without a payload. */
const emptyPong = clientFrame(pongOpcode, Buffer.alloc(0));

function upgradeRequest(port: number, path: string): Buffer {
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\n` +
      'Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    'latin1',
  );
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

  /** `wire`: the server has accepted the upgrade on it. */
  private constructor(wire: Wire, onText: OnUnit) {
    this.#wire = wire;
    this.onText = onText;
    wire.splitter.unitEnd = websocketFrameEnd;
    wire.splitter.onUnit = (frame, from, to) => this.#receive(frame, from, to);
  }

  /** Resolves once the server has accepted the upgrade. */
  static open(options: WebSocketOptions): Promise<WebSocketClient> {
    return new Promise((resolve, reject) => WebSocketClient.begin(options, resolve, reject));
  }

  /** Opens a WebSocket without a promise, for those who open very many: calls either `opened` or `failed`, once. */
  static begin(
    options: WebSocketOptions,
    opened: (client: WebSocketClient) => void,
    failed: (error: Error) => void,
  ): void {
    let wire: Wire | undefined;
    const onUnit: OnUnit = (bytes, start) => {
      if (wire === undefined) return;
      wire.onClose = options.onClose;
      const status = httpStatus(bytes, start);
      if (status !== 101) {
        wire.close();
        return failed(new Error(`WebSocket upgrade of ${options.path} answered ${status}`));
      }
      opened(new WebSocketClient(wire, options.onText));
    };
    const { port, host, onRead } = options;
    const upgrade = (connected: Wire): void => {
      wire = connected;
      wire.onClose = () => failed(new Error(`WebSocket ${options.path} was closed before it was open`));
      wire.write(upgradeRequest(port, options.path));
    };
    const wireOptions = { port, host, unitEnd: httpBody, onUnit, onRead };
    if (options.openWire) options.openWire(wireOptions).then(upgrade, failed);
    else Wire.begin(wireOptions, upgrade, failed);
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
    else if (opcode === pingOpcode)
      this.#wire.write(
        payload === end ? emptyPong : clientFrame(pongOpcode, Buffer.from(bytes.subarray(payload, end))),
      );
  }
}
