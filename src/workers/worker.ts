/**
 * The entry of a worker process; imported by nobody. Signals come first: a whole process group may be signalled while the
 * rest is still being loaded. What a reload reads is the parent's business.
 */
process.on('SIGHUP', () => undefined);
await import('./worker-server.js');
