/**
 * How long a test waits for what must come. No test is decided by this number: it only turns a hang into an error that says
 * what was waited for, before tap ends the file (`timeout` of .taprc), on a machine that does ten other things besides.
 */
export const HANG_MS = 120_000;
