// Ends a test's process when an exception that nobody has caught has ended one of its tests: what that has left open would keep the process
// until tap's timeout (.taprc), and the error would be shown only then.
import { inspect } from 'node:util';

/** By then tap has said which test it was. */
const REPORTED_MS = 1000;

process.on('uncaughtExceptionMonitor', (error) => {
  process.stderr.write(`uncaught in ${process.argv[1]}: ${inspect(error)}\n`);
  setTimeout(() => process.exit(1), REPORTED_MS);
});
