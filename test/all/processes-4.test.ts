/** Runs a quarter of the files `*.process.ts` in one process. */
import { runShare } from '../support/together.js';

await runShare('process', 4);
