/** Calls of a site's backend to one node. */
import { Wire } from '../clients/wire.js';
import { httpAnswerEnd, httpBody, httpStatus } from '../scan.js';

/** What a call came to; `unanswered`: the server may have done it. */
export type Called = { readonly status: number; readonly body: string } | 'refused' | 'unanswered';

const CALL_MS = 15_000;

/** A connection to the server. `answered`: gets the outcome of the call whose answer the connection waits for; null: there is no such call. */
interface Line {
  wire: Wire | null;
  answered: ((called: Called) => void) | null;
}

/** As many connections as calls wait: one that waits holds no other up. */
export class Calls {
  #free: Line[] = [];

  constructor(private readonly port: number) {}

  /** Sends the bytes of a request. */
  async call(request: Buffer): Promise<Called> {
    const line = this.#free.pop() ?? (await this.#open());
    if (line === 'refused' || line === 'unanswered') return line;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        line.wire?.close();
        resolve('unanswered');
      }, CALL_MS);
      line.answered = (called) => {
        clearTimeout(timer);
        line.answered = null;
        resolve(called);
      };
      line.wire?.write(request);
    });
  }

  close(): void {
    for (const { wire } of this.#free) wire?.close();
    this.#free = [];
  }

  async #open(): Promise<Line | 'refused' | 'unanswered'> {
    const line: Line = { wire: null, answered: null };
    const onUnit = (bytes: Buffer, start: number, end: number): void => {
      const status = httpStatus(bytes, start);
      const body = bytes.toString('utf8', httpBody(bytes, start, end), end);
      this.#free.push(line);
      line.answered?.(status === 503 ? 'refused' : { status, body });
    };
    try {
      line.wire = await Wire.open({ port: this.port, unitEnd: httpAnswerEnd, onUnit });
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'refused' : 'unanswered';
    }
    line.wire.onClose = () => {
      this.#free = this.#free.filter((free) => free !== line);
      line.answered?.('unanswered');
    };
    return line;
  }
}
