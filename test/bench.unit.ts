import t from 'tap';
import { publishPacket } from '../bench/clients/mqtt.js';
import { textFrame } from '../bench/clients/websocket.js';
import { isEqual, messageBody, readMessages } from '../bench/connections/frames.js';
import { ticketIn } from '../bench/connections/requests.js';
import { FanoutLoop, PairLoop } from '../bench/loops.js';
import { addFigures, type Results, type Series } from '../bench/results.js';
import {
  chunkData,
  chunkEnd,
  httpAnswerEnd,
  httpBody,
  httpHeader,
  httpStatus,
  messagesIn,
  mqttPacketEnd,
  Splitter,
  type UnitEnd,
  websocketFrameEnd,
  websocketPayload,
} from '../bench/scan.js';
import { Histogram, median, pairedRatio, summarize } from '../bench/statistics.js';
import { comparisonTable, drawTable, resultsTable } from '../bench/table.js';
import { order } from '../bench/turns.js';
import fc from './support/properties.js';

/** A server's frame: unmasked. */
function serverFrame(payload: string): Buffer {
  const body = Buffer.from(payload);
  if (body.length < 126) return Buffer.concat([Buffer.from([0x81, body.length]), body]);
  const head = Buffer.alloc(body.length < 65_536 ? 4 : 10);
  head[0] = 0x81;
  head[1] = body.length < 65_536 ? 126 : 127;
  if (body.length < 65_536) head.writeUInt16BE(body.length, 2);
  else head.writeUInt32BE(body.length, 6);
  return Buffer.concat([head, body]);
}

const answer = (body: string): Buffer =>
  Buffer.from(`HTTP/1.1 200 OK\r\nETag: 3:1\r\ncontent-LENGTH: ${Buffer.byteLength(body)}\r\n\r\n${body}`);

const chunk = (data: string): Buffer => Buffer.from(`\r\n${Buffer.byteLength(data).toString(16)}\r\n${data}`);

t.test('medians and spreads are those of the values, whatever their order', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 3, 2]), 2.5);
  t.equal(median([7]), 7);
  t.ok(Number.isNaN(median([])));
  t.same(summarize([90, 110, 100]), { median: 100, spread: 0.1 });
  t.same(summarize([0, 0]), { median: 0, spread: 0 });
});

t.test(
  'the quotient of windows beside each other is not moved by what slows both, and its error shrinks with their number',
  async (t) => {
    const slowed = [1, 3, 1, 2, 7, 1, 1, 4];
    const noise = [0.98, 1.02, 1, 0.99, 1.01, 1, 0.98, 1.02];
    const ours = slowed.map((by, pair) => 30 * by * (noise[pair] ?? 1));
    const theirs = slowed.map((by) => 20 * by);
    const { median, error } = pairedRatio(ours, theirs);
    t.ok(Math.abs(median - 1.5) < 0.01, `${median}`);
    t.ok(error > 0 && error < 0.02, `${error}`);
    const fourTimes = pairedRatio(Array(4).fill(ours).flat(), Array(4).fill(theirs).flat());
    t.equal(fourTimes.median, median);
    t.ok(Math.abs(fourTimes.error / error - 0.5) < 0.05, `${fourTimes.error}`);
    t.same(pairedRatio([4], [2]), { median: 2, error: 0 });
    t.ok(Number.isNaN(pairedRatio([], []).median));
  },
);

t.test('among servers that take turns each one begins and ends as often as any other', async (t) => {
  for (const sides of [1, 2, 3, 4]) {
    const windows = Array.from({ length: 24 }, (_, window) => order(sides, window));
    const all = Array.from({ length: sides }, (_, side) => side);
    for (const turn of windows) t.same([...turn].sort(), all, 'each has its turn in each window');
    for (const at of [0, sides - 1]) {
      const times = all.map((side) => windows.filter((turn) => turn[at] === side).length);
      t.same(times, Array(sides).fill(24 / sides), `${sides} servers at place ${at}`);
    }
  }
});

t.test('a histogram answers quantiles within two percent', async (t) => {
  const histogram = new Histogram();
  t.ok(Number.isNaN(histogram.quantile(0.5)));
  for (let ms = 1; ms <= 1000; ms += 1) histogram.record(ms);
  for (const share of [0.01, 0.5, 0.99, 0.999, 1]) {
    const wanted = share * 1000;
    t.ok(Math.abs(histogram.quantile(share) / wanted - 1) < 0.02, `${share}`);
  }
  histogram.clear();
  histogram.record(0);
  histogram.record(1e12);
  t.equal(histogram.count, 2, 'extremes are counted too');
});

t.test('frames hold as many messages as their length says', async (t) => {
  const message = '{"from":"1","to":"2","nick":"Jack","timestamp":"1","type":"chat","body":"hi","style":""}';
  const frame = (count: number): number =>
    `{"status":"ok","messages":[${Array(count).fill(message).join(',')}],"presences":[],"statuses":[]}`.length;
  for (let count = 1; count < 100; count += 1) t.equal(messagesIn(frame(count), frame(1), frame(0)), count);
  t.equal(messagesIn(frame(5) + ',"seq":12'.length, frame(1) + ',"seq":1'.length, frame(0)), 5);
});

t.test('units are found whole however the stream is cut', async (t) => {
  const kinds: readonly { name: string; unitEnd: UnitEnd; units: Buffer[] }[] = [
    {
      name: 'WebSocket frames',
      unitEnd: websocketFrameEnd,
      units: ['', 'a', 'b'.repeat(125), 'c'.repeat(126), 'd'.repeat(70_000)].map(serverFrame),
    },
    {
      name: 'MQTT packets',
      unitEnd: mqttPacketEnd,
      units: [1, 100, 130, 20_000].map((size) => publishPacket('a/b', Buffer.alloc(size, 0xff), 1)),
    },
    { name: 'HTTP answers', unitEnd: httpAnswerEnd, units: ['', 'x', 'ü\r\n\r\n', 'y'.repeat(3000)].map(answer) },
    { name: 'HTTP chunks', unitEnd: chunkEnd, units: ['x', 'ü\r\n', 'y'.repeat(3000), ''].map(chunk) },
  ];
  for (const { name, unitEnd, units } of kinds) {
    const stream = Buffer.concat(units);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: stream.length }), { maxLength: 20 }), (cuts) => {
        const got: Buffer[] = [];
        const splitter = new Splitter(unitEnd, (bytes, start, end) =>
          got.push(Buffer.from(bytes.subarray(start, end))),
        );
        // A socket writes each read into the same buffer, with old bytes behind the new.
        const shared = Buffer.alloc(stream.length + 20, 0x0d);
        let from = 0;
        for (const to of [...cuts.sort((a, b) => a - b), stream.length]) {
          stream.copy(shared, 0, from, to);
          splitter.feed(shared, to - from);
          from = to;
        }
        return got.length === units.length && got.every((unit, i) => unit.equals(units[i] ?? Buffer.alloc(0)));
      }),
      { numRuns: 60, seed: 1 },
    );
    t.pass(name);
  }
});

t.test('answers are read where they are', async (t) => {
  const bytes = Buffer.concat([Buffer.from('before'), answer('{"ok":1}')]);
  const body = httpBody(bytes, 6, bytes.length);
  t.equal(httpStatus(bytes, 6), 200);
  t.equal(bytes.toString('utf8', body), '{"ok":1}');
  t.equal(httpHeader(bytes, 6, body, 'etag:'), '3:1');
  t.equal(httpHeader(bytes, 6, body, 'last-modified:'), '');
  const noBody = Buffer.from('HTTP/1.1 204 No Content\r\nX: content-length: 9\r\n\r\n');
  t.equal(httpAnswerEnd(noBody, 0, noBody.length), noBody.length);
});

t.test('a client frame is masked, with a mask that changes nothing', async (t) => {
  for (const text of ['hi', 'x'.repeat(300)]) {
    const frame = textFrame(text);
    t.equal((frame[1] ?? 0) & 0x80, 0x80);
    t.equal(frame.toString('utf8', websocketPayload(frame, 0) + 4), text);
  }
});

t.test('fan-out keeps no more in flight than it is told, and waits for every receiver', async (t) => {
  const loop = new FanoutLoop(3);
  let inFlight = 0;
  let most = 0;
  const fanout = {
    publish: () => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      setImmediate(() => {
        inFlight -= 1;
        for (let receiver = 0; receiver < 3; receiver += 1) loop.onDelivered(receiver, 1);
      });
    },
  };
  t.equal(await loop.run(fanout, 1, 0), 3, 'one message alone');
  t.equal(most, 1);
  const delivered = await loop.run(fanout, 4, 10);
  t.equal(delivered % 3, 0);
  t.equal(inFlight, 0);
  t.ok(most <= 5, 'the one that completes is counted until its callback ends');
});

t.test('pairs record a latency for each delivery, at a fixed number in flight or a fixed rate', async (t) => {
  const loop = new PairLoop(2);
  const pairs = {
    send: (pair: number, count: number) => {
      setImmediate(() => loop.onDelivered(pair, count));
    },
  };
  const closed = await loop.run(pairs, 4, 10);
  t.equal(loop.latency.count, closed);
  loop.latency.clear();
  const lateMs = await loop.offer(pairs, 2000, 20);
  t.equal(loop.latency.count, 40);
  t.ok(lateMs >= 0);
});

t.test('tables are aligned, compare with peers and mark a busy generator', async (t) => {
  t.equal(drawTable(['a', 'long title'], [['wide cell', 'x']]).split('\n')[2], '| wide cell | x          |');
  const series: Series[] = [];
  const figures = (rate: number, generator: number) =>
    [
      { mode: '1', metric: 'rate', value: rate },
      { mode: '1', metric: 'generator', value: generator },
    ] as const;
  addFigures(series, 'room', 'nextalk', figures(100_000, 0.5));
  addFigures(series, 'room', 'ws', figures(50_000, 0.99));
  addFigures(series, 'room', 'ws', figures(50_000, 0.99));
  const results: Results = {
    date: '2026-01-01T00:00:00.000Z',
    machine: 'm',
    runs: 2,
    quick: false,
    versions: {},
    skipped: [],
    series,
  };
  t.match(resultsTable(results), '100k');
  t.match(resultsTable(results), '≥50k ±0% (2.00×)');
  const turned = resultsTable({ ...results, paired: true });
  t.match(turned, '≥50k (2.00× ±0.000)', 'servers that took turns: the quotient and its error');
  const slower: Results = {
    ...results,
    series: series.map((one) => ({ ...one, values: one.values.map((v) => v / 2) })),
  };
  const compared = comparisonTable(results, slower).split('\n');
  t.match(compared[2], /NexTalk.*100k.*50k.*-50\.0%.*worse/);
  t.notMatch(comparisonTable(results, results), /worse|better/);
});

t.test('the first chunk has no line break before it, and ends where its data end', async (t) => {
  const bytes = Buffer.from('3\r\nabc\r\n0\r\n\r\n');
  t.equal(chunkEnd(bytes, 0, 6), 6);
  t.equal(bytes.toString('latin1', chunkData(bytes, 6, bytes.length)), '\r\n');
  t.equal(chunkEnd(bytes, 6, bytes.length), chunkData(bytes, 6, bytes.length));
});

t.test('messages of a frame are read from its bytes, wherever it stands in them', async (t) => {
  const packet = (body: string): string =>
    `{"from":"u1","to":"u2","nick":"u1","type":"chat","body":"${body}","style":""}`;
  const frame = (...bodies: string[]): string =>
    `{"status":"ok","messages":[${bodies.map(packet).join(',')}],"presences":[{"from":"u1"}],"statuses":[]}`;
  const read = (text: string): (readonly [number, number])[] => {
    const found: [number, number][] = [];
    // A read has other frames before and behind.
    const bytes = Buffer.from(`${frame('1 1.000 before')}${text}${frame('2 2.000 behind')}`);
    const start = frame('1 1.000 before').length;
    const count = readMessages(bytes, start, start + text.length, (id, dueMs) => found.push([id, dueMs]));
    t.equal(count, found.length);
    return found;
  };
  t.same(read(frame()), []);
  t.same(read(frame(messageBody(10_000_007, 1234.5678))), [[10_000_007, 1234.568]]);
  t.same(read(frame(messageBody(0, 1.5), messageBody(3, 2))), [
    [0, 1.5],
    [3, 2],
  ]);
  for (const wrong of ['{"status":"error"}', '{"status":"ok"}', '', frame('hello you all'), frame('7')]) {
    t.throws(() => read(wrong), wrong);
  }
});

t.test('the ticket is found in the answer to ONLINE, and an answer is compared to its end', async (t) => {
  const bytes = Buffer.from('{"status":"ok","ticket":"u1:abc","jid":"u1"}{"status":"ok","ticket":"u2:x"}');
  t.equal(ticketIn(bytes, 0, 44), 'u1:abc');
  t.equal(ticketIn(bytes, 44, bytes.length), 'u2:x');
  t.equal(ticketIn(bytes, 0, 10), null);
  const ok = Buffer.from('{"status":"ok"}');
  t.ok(isEqual(Buffer.from('..{"status":"ok"}..'), 2, 17, ok));
  for (const other of ['{"status":"ok"', '{"status":"ok"} ', '{"status":"no"}']) {
    t.notOk(isEqual(Buffer.from(other), 0, other.length, ok), other);
  }
});
