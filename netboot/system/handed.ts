/** Sockets that systemd opened for us: sd_listen_fds(3). */

/** First descriptor that is handed over. */
const first = 3;

/**
 * Descriptors by name (`FileDescriptorName=`), several of one name in their order. Empty when the variables are for
 * another process.
 */
export function handedSockets(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, number[]>();
  const count = Number(environment.LISTEN_FDS ?? '0');
  if (environment.LISTEN_PID !== String(pid) || !Number.isInteger(count) || count < 1 || count > 1024) {
    return found;
  }
  const names = (environment.LISTEN_FDNAMES ?? '').split(':');
  for (let index = 0; index < count; index++) {
    const name = names[index] || 'unknown';
    found.set(name, [...(found.get(name) ?? []), first + index]);
  }
  return found;
}
