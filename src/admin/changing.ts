/** Requests that change something of one domain: who may, and when they are answered. */
import type { Outcome, Viewer } from '../directory/operations.js';
import type { Plain } from '../directory/registers.js';
import type { Context } from '../protocols/context.js';
import { answerError, answerJson, type Handler, maySee, type Request } from './answer.js';
import { readObject } from './body.js';

/** An operation on one domain. */
type Operation = (viewer: Viewer, domain: string, request: Request) => Outcome | Promise<Outcome>;

/** Calls `done` once what was done is on disk and known to every node. */
function whenHeld({ runtime, node }: Context): Promise<void> {
  const { store } = runtime;
  const onDisk = new Promise<void>((resolve) => (store ? store.committed(resolve) : resolve()));
  const onNodes = new Promise<void>((resolve) => (node ? node.mesh.barrier(resolve) : resolve()));
  return Promise.all([onDisk, onNodes]).then(() => undefined);
}

/** A handler for an operation that changes something: the call is answered when the change is on disk and on all nodes. */
export function changing(context: Context, operation: Operation): Handler {
  return async (request) => {
    const { response, parts, viewer } = request;
    const domain = parts.get('domain') ?? '';
    if (!viewer || !maySee(request, domain)) return answerError(response, 404, 'not found');
    if (context.runtime.store?.hasRoom() === false) return answerError(response, 503, 'the disk is full');
    const { status, body } = await operation(viewer, domain, request);
    if (status < 300) await whenHeld(context);
    answerJson(response, body, status);
  };
}

/** Like `changing`, for an operation whose request has a JSON object as its body. */
export function changingBy(
  context: Context,
  operation: (viewer: Viewer, domain: string, body: Plain) => Outcome,
): Handler {
  return changing(context, async (viewer, domain, { message }) => {
    const body = await readObject(message);
    if (typeof body !== 'string') return operation(viewer, domain, body);
    return { status: 400, body: { status: 'error', message: 'bad request', detail: body } };
  });
}
