/** Runs a third of the files `*.server.ts` in one process. */
import { runShare } from '../support/together.js';

await runShare('server', 1);
