import t from 'tap';
import type { Metrics } from '../src/metrics.js';
import { ComingAgain } from '../src/protocols/coming-again.js';
import { ConnectionLimits } from '../src/protocols/connection-limits.js';
import { EventsAdapter } from '../src/protocols/events.js';
import { Gate } from '../src/protocols/gate.js';
import { whenOpen } from '../src/protocols/headers.js';
import { WebSocketAdapter } from '../src/protocols/websocket.js';
import type { HttpRequest, HttpResponse } from '../src/uws.js';
import { own, testMachine } from './mqtt/support/broker.js';

/** An answer that notes its status and its body. */
class Response {
  status = '';
  body: unknown;
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
  end(body: string): void {
    this.body = body.startsWith('{') ? JSON.parse(body) : body;
  }
}

t.test('a request that waits for a server which ends before it could go on is refused, and counted', async (t) => {
  const metrics = { refused: { unavailable: 0 } } as Metrics;
  const gate = new Gate();
  const server = { runtime: { metrics }, gate, comingAgain: new ComingAgain(() => 0) };
  const handler = whenOpen(server, { get: () => t.fail('handled') });
  const request = { getQuery: () => '', forEach: () => undefined } as unknown as HttpRequest;
  const responses = Array.from({ length: 1001 }, () => new Response());
  for (const response of responses) handler(response as unknown as HttpResponse, request, {} as never);
  t.ok(responses.every(({ status }) => status === ''));
  gate.close();
  t.ok(responses.every(({ status }) => status === '503 Service Unavailable'));
  t.equal(metrics.refused.unavailable, 1001);
  const told = { status: 'error', message: 'unavailable' };
  t.strictSame(responses[0]?.body, { ...told, retryAfter: 5 });
  t.strictSame(responses[1000]?.body, { ...told, retryAfter: 6 }, 'a thousand come again before');
});

t.test('an EventSource that a starting server has no room for comes again, as after any other refusal', async (t) => {
  const { host } = testMachine(t);
  const gate = new Gate();
  Object.assign(host.context, { gate });
  const adapter = new EventsAdapter(host.context, new ConnectionLimits(host.context));
  t.teardown(() => adapter.close());
  const handler = whenOpen(host.context, adapter);
  const come = (accept: string): Response => {
    const request = {
      getQuery: () => '',
      forEach: (see: (name: string, value: string) => void) => see('accept', accept),
    };
    const response = new Response();
    handler(response as unknown as HttpResponse, request as unknown as HttpRequest, { origin: '' } as never);
    return response;
  };
  const [browser, program] = [come('text/event-stream'), come('*/*')];
  gate.close();
  t.strictSame([browser.status, browser.body], ['', 'retry: 5000\n\n'], 'another status would end it for good');
  t.equal(program.status, '503 Service Unavailable');
});

t.test('a WebSocket that a starting server has no room for is told when to come again', async (t) => {
  const { host } = testMachine(t);
  const gate = new Gate();
  Object.assign(host.context, { gate });
  const adapter = new WebSocketAdapter(host.context, new ConnectionLimits(host.context));
  t.teardown(() => adapter.close());
  const came: unknown[] = [];
  let holder: unknown;
  const request = {
    forEach: () => undefined,
    getHeader: (name: string) => (name === 'sec-websocket-version' ? '13' : ''),
  };
  const response = {
    upgrade: (made: unknown) => {
      holder = made;
    },
    getRemoteAddress: () => new ArrayBuffer(4),
    getRemoteAddressAsText: () => new TextEncoder().encode('127.0.0.1').buffer,
  };
  const ws = {
    getUserData: () => holder,
    getBufferedAmount: () => 0,
    send: (text: string) => came.push(JSON.parse(text)),
    end: (code: number, reason: string) => came.push([code, reason]),
  };
  const { upgrade, open, message } = adapter.behaviour;
  upgrade?.(response as never, request as never, {} as never);
  open?.(ws as never);
  const text = new TextEncoder().encode(`subscribe ${own.domain} abc`);
  message?.(ws as never, text.buffer as ArrayBuffer, false);
  t.strictSame(came, []);
  gate.close();
  t.strictSame(came, [{ status: 'error', message: 'unavailable', retryAfter: 5 }, [1013, 'try again later, in 5 s']]);
});
