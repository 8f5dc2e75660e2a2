/**
 * The entry of a worker process; no module imports it. The handler of SIGHUP comes before everything else: a whole process
 * group may be signalled while the rest is still being loaded. Workers ignore SIGHUP: the parent reads the configuration.
 */
import { pauseOptimizer, resumeOptimizer } from '../engine.js';

process.on('SIGHUP', () => undefined);
pauseOptimizer();
await import('./worker-server.js');
resumeOptimizer();
