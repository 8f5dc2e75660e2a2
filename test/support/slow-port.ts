/** JetStream of a cluster in one process (model-cluster.ts), which takes its time. */
import type { KeptStream } from '../../src/cluster/kept-stream.js';
import type { MemoryStream } from './memory-stream.js';

type Task = () => void;

/** JetStream's stream as a node uses it: each request, and each answer, is on its way until the test moves it on. */
export function slowPort(
  stream: MemoryStream,
  network: { post(stream: string, task: Task): void },
  node: { readonly name: string; readonly isDead: boolean },
): KeptStream {
  const later = (run: Task): void =>
    network.post(`js ${node.name} jetstream`, () => {
      if (!node.isDead) run();
    });
  const answer = (run: Task): void =>
    network.post(`answer jetstream ${node.name}`, () => {
      if (!node.isDead) run();
    });
  return new Proxy(stream as unknown as KeptStream, {
    get: (target, method) => {
      const found = Reflect.get(target, method) as (...args: readonly unknown[]) => unknown;
      return (...args: readonly unknown[]) => {
        if (method === 'write') {
          const [key, data, done, expected] = args as [string, string, (answer: unknown) => void, number | null];
          later(() => stream.write(key, data, (said) => answer(() => done(said)), expected ?? null));
          return undefined;
        }
        if (method === 'remove') return later(() => void found.apply(stream, [...args]));
        return new Promise((resolve, reject) => {
          later(() => {
            (found.apply(stream, [...args]) as Promise<unknown>).then(
              (value) => answer(() => resolve(value)),
              (error) => answer(() => reject(error)),
            );
          });
        });
      };
    },
  });
}
