/** Runs a third of the files `*.server.ts` in one process. */
import { runServers } from '../support/together.js';

await runServers(2);
