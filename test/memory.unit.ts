import { getHeapStatistics } from 'node:v8';
import t from 'tap';
import { Memory } from '../src/actors/memory.js';
import { Metrics } from '../src/metrics.js';

function newMemory(bytesPerDomain: number): Memory {
  return new Memory(new Metrics().domain('a.example'), () => ({ bytesPerDomain }));
}

t.test("A domain's bytes have room up to its limit, and are over it beyond", async (t) => {
  const memory = newMemory(100);
  memory.add(100);
  t.notOk(memory.isOver);
  t.notOk(memory.hasRoom(1));
  memory.add(1);
  t.ok(memory.isOver);
  memory.subtract(51);
  t.ok(memory.hasRoom(50));
  t.notOk(memory.hasRoom(51));
});

t.test('What many hold counts once, until the last of them releases it', async (t) => {
  const memory = newMemory(1000);
  const held = { bytes: 300, holders: 0 };
  for (let i = 0; i < 10; i++) memory.hold(held);
  t.equal(memory.bytes, 300);
  for (let i = 0; i < 9; i++) memory.release(held);
  t.equal(memory.bytes, 300);
  memory.release(held);
  t.equal(memory.bytes, 0);
});

t.test('Without a limit set, a domain may take a quarter of the heap', async (t) => {
  t.equal(newMemory(0).limit, Math.floor(getHeapStatistics().heap_size_limit / 4));
});
