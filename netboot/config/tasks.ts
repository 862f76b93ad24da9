import { choice, count, flag, path, port, text, words } from './setting.ts';

/** Tasks that run over SSH on machines that were flashed. */
export const taskSettings = {
  taskKey: path(
    ({ stateDir }) => `${stateDir}/keys/id_ed25519`,
    'FILE',
    'Private key with which the appliance logs in to machines; without the file there are no tasks.',
  ),
  taskUser: text('root', 'NAME', 'Whom tasks log in as, where no label says otherwise.'),
  taskUsers: words(
    'RULES',
    'Whom tasks log in as on machines with a label: LABEL=VALUE:NAME, the first that fits.',
  ),
  cijoeSshPort: port(22, 'Port of SSH on machines.'),
  taskHost: text(
    null,
    'NAME',
    'Name under which machines are found besides their addresses, as {hostname}.lab.example.',
  ),
  taskParallel: count(
    8,
    [1, 1000],
    'COUNT',
    'Tasks that run at once; those that wait for their machine do not count.',
  ),
  taskStepSeconds: count(600, [1, 86_400], 'SECONDS', 'Longest time of one step, where it names none.'),
  taskSeconds: count(
    1800,
    [1, 7 * 86_400],
    'SECONDS',
    'Longest time of a whole task, from its first step on.',
  ),
  taskWaitSeconds: count(900, [1, 86_400], 'SECONDS', 'How long a machine is waited for after its flash.'),
  taskLoginSeconds: count(
    60,
    [0, 3600],
    'SECONDS',
    'How long a machine may refuse the key after its flash: a first boot may still write it down.',
  ),
  taskOutputBytes: count(
    4 * 1024 ** 2,
    [1024, 1024 ** 3],
    'BYTES',
    'Output that is kept of one run; of more the start and the end.',
  ),
  taskRunsKept: count(20, [1, 10_000], 'COUNT', 'Runs that are kept of each machine.'),
  taskBytesKept: count(
    1024 ** 3,
    [1024 ** 2, Number.MAX_SAFE_INTEGER],
    'BYTES',
    'What the folders of all runs may use; the oldest go first.',
  ),
  taskFilesDir: path(
    ({ stateDir }) => `${stateDir}/task-files`,
    'DIR',
    'Files that tasks may put on machines.',
  ),
  taskIdentity: choice(
    ['strict', 'address'],
    'strict',
    'How a machine is known after its flash: strict also asks that it booted since, and is no live system.',
  ),
  taskVerbatim: flag(
    false,
    'Send commands to machines exactly as they are written, for keys with a forced command.',
  ),
} as const;
