/** Runs half of the files `*.browser.ts` in one process, with one browser. */
import { runShare } from '../support/together.js';

await runShare('browser', 1);
