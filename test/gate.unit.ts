import t from 'tap';
import type { Metrics } from '../src/metrics.js';
import { Gate } from '../src/protocols/gate.js';
import { whenOpen } from '../src/protocols/headers.js';
import type { HttpRequest, HttpResponse } from '../src/uws.js';

/** An answer that notes its status. */
class Response {
  status = '';
  onAborted(): void {}
  cork(write: () => void): void {
    write();
  }
  writeStatus(status: string): this {
    this.status = status;
    return this;
  }
  writeHeader(): this {
    return this;
  }
  end(): void {}
}

t.test('a request that waits for a server which ends before it could go on is refused, and counted', async (t) => {
  const metrics = { refused: { unavailable: 0 } };
  const gate = new Gate();
  const handler = whenOpen(metrics as Metrics, gate, () => t.fail('handled'));
  const response = new Response();
  const request = { getQuery: () => '', forEach: () => undefined };
  handler(response as unknown as HttpResponse, request as unknown as HttpRequest, {} as never);
  t.equal(response.status, '');
  gate.close();
  t.equal(response.status, '503 Service Unavailable');
  t.equal(metrics.refused.unavailable, 1);
});
