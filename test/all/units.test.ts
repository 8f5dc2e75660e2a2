/**
 * Runs every file `*.unit.ts` in one process: tables of inputs and answers, and state machines that a test feeds by hand, which
 * open no port, start no process and share nothing. Each runs by itself as well.
 */
import { runShare } from '../support/together.js';

await runShare('unit', 1);
