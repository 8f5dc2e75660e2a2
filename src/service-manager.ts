/**
 * What systemd is told where it wants to know (`Type=notify`), as sd_notify(3) has it. That takes a datagram socket of the
 * file system, which Node does not have: systemd's own program `systemd-notify` carries the word.
 */
import { execFile } from 'node:child_process';
import { log } from './log.js';

const TELL_MS = 5000;

/** `lines`: assignments of sd_notify(3), such as `READY=1`. Does nothing where nobody wants to know. */
export function tellServiceManager(
  environment: Readonly<Record<string, string | undefined>>,
  ...lines: readonly string[]
): void {
  const { NOTIFY_SOCKET } = environment;
  if (!NOTIFY_SOCKET) return;
  execFile('systemd-notify', lines, { timeout: TELL_MS }, (error) => {
    if (error) log.warn({ event: 'systemd-not-told', why: error.message }, 'systemd-notify has failed: use Type=exec');
  });
}
