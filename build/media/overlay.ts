/** What makes an appliance of a Debian root: our programs, units and settings. */
import { appendFile, chmod, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { output } from '../live/command.ts';
import { layBundle } from '../pack/bundle.ts';
import { runtimeOf } from '../pack/foreign.ts';
import { settleModes } from '../release/archive.ts';

const root = join(import.meta.dirname, '..', '..');
const recipe = join(root, 'netboot', 'live', 'server');

export interface OverlayOptions {
  /** Unpacked Debian. */
  readonly tree: string;
  readonly architecture: 'x64' | 'arm64';
  readonly version: string;
  /** Folder that the live system was built to. */
  readonly live: string;
  readonly suite: string;
  readonly components: readonly string[];
  /** Sector of the disk where the state begins; the system never reaches it. */
  readonly stateSector: number;
  /** Serial console besides the screen; null where only the kernel knows which there is. */
  readonly serial: string | null;
  /** Whether a part of the system comes from the suite's backports, and is kept up to date from there. */
  readonly backports?: boolean;
  readonly fstab: string;
}

const scripts = ['state', 'apply', 'live-install', 'console', 'setup', 'network-boot'];

/** Puts everything in place. The files of Debian stay as they are, but for what a person would set up. */
export async function layOverlay(options: OverlayOptions): Promise<void> {
  const { tree, architecture, version, live, stateSector } = options;
  const place = join(tree, 'usr/lib/bty');
  await layBundle({ to: place, version, architectures: [architecture], only: ['bty-web'] });
  await output('strip', ['-o', join(place, 'node'), await runtimeOf(architecture)]).catch(async () =>
    // The strip of this machine knows no programs of another architecture.
    cp(await runtimeOf(architecture), join(place, 'node')),
  );
  await chmod(join(place, 'node'), 0o755);
  await script(
    join(tree, 'usr/bin/bty-web'),
    'exec /usr/lib/bty/node --disable-sigusr1 /usr/lib/bty/bty-web.cjs "$@"',
  );
  for (const name of scripts) await copy(join(recipe, name), join(place, name), 0o755);
  await copy(join(recipe, 'bty.toml'), join(place, 'bty.toml'), 0o644);
  await text(join(place, 'state-sector'), `${stateSector}\n`);
  await cp(live, join(tree, 'usr/share/bty/live'), { recursive: true });
  // It was made in a folder of its maker's alone, and the appliance is somebody else.
  await settleModes(join(tree, 'usr/share/bty'));
  await cp(join(root, 'LICENSE'), join(tree, 'usr/share/bty/LICENSE'));
  await layUnits(options);
  await settings(options);
}

/** Which services begin, and which wait for their switch. */
export async function layUnits({ tree, serial }: Pick<OverlayOptions, 'tree' | 'serial'>): Promise<void> {
  const folder = join(tree, 'etc/systemd/system');
  for (const name of await readdir(join(root, 'build', 'systemd')))
    if (/\.(service|socket)$/.test(name))
      await copy(join(root, 'build/systemd', name), join(folder, name), 0o644);
  for (const name of ['bty-state.service', 'bty-apply.service', 'bty-live.service'])
    await copy(join(recipe, 'units', name), join(folder, name), 0o644);
  await copy(join(recipe, 'units/bty-web.conf'), join(folder, 'bty-web.service.d/image.conf'), 0o644);
  for (const unit of ['getty@.service.d', 'serial-getty@.service.d'])
    await copy(join(recipe, 'units/console.conf'), join(folder, unit, 'bty.conf'), 0o644);
  const wants = async (target: string, unit: string, file = join('/etc/systemd/system', unit)) => {
    await mkdir(join(folder, `${target}.wants`), { recursive: true });
    await rm(join(folder, `${target}.wants`, unit), { force: true });
    await symlink(file, join(folder, `${target}.wants`, unit));
  };
  await wants('sysinit.target', 'bty-state.service');
  await wants('multi-user.target', 'bty-apply.service');
  await wants('multi-user.target', 'bty-web.service');
  await wants('multi-user.target', 'bty-live.service');
  await wants(
    'multi-user.target',
    'systemd-networkd.service',
    '/lib/systemd/system/systemd-networkd.service',
  );
  await wants(
    'multi-user.target',
    'systemd-resolved.service',
    '/lib/systemd/system/systemd-resolved.service',
  );
  if (serial !== null)
    await wants(
      'getty.target',
      `serial-getty@${serial}.service`,
      '/lib/systemd/system/serial-getty@.service',
    );
  // Off until the switch; the socket too, where there is one.
  for (const name of [
    'multi-user.target.wants/ssh.service',
    'sshd.service',
    'sockets.target.wants/ssh.socket',
  ])
    await rm(join(folder, name), { force: true });
  // It offers sshd at a local socket, and to the host of a virtual machine, without being asked
  // (systemd-ssh-generator(8), since systemd 256).
  const generators = join(tree, 'etc/systemd/system-generators');
  await mkdir(generators, { recursive: true });
  await rm(join(generators, 'systemd-ssh-generator'), { force: true });
  await symlink('/dev/null', join(generators, 'systemd-ssh-generator'));
}

async function settings({ tree, suite, components, backports, fstab }: OverlayOptions): Promise<void> {
  const at = (path: string) => join(tree, path);
  await text(at('etc/fstab'), fstab);
  await text(at('etc/hostname'), 'bty\n');
  await text(at('etc/hosts'), '127.0.0.1\tlocalhost\n127.0.1.1\tbty\n::1\tlocalhost\n');
  // Filled at the first boot.
  await text(at('etc/machine-id'), '');
  const network = '[Match]\nType=ether\n[Network]\nDHCP=yes\nLinkLocalAddressing=yes\n';
  await text(at('etc/systemd/network/80-default.network'), network);
  await rm(at('etc/resolv.conf'), { force: true });
  await symlink('/run/systemd/resolve/stub-resolv.conf', at('etc/resolv.conf'));
  await rm(at('etc/bty'), { recursive: true, force: true });
  for (const folder of ['state', 'var/lib/bty', 'etc/bty']) await mkdir(at(folder), { recursive: true });
  await appendOnce(at('etc/passwd'), 'bty:x:900:900:bty appliance:/var/lib/bty:/usr/sbin/nologin\n');
  await appendOnce(at('etc/group'), 'bty:x:900:\n');
  await appendOnce(at('etc/shadow'), 'bty:!:19000::::::\n');
  // Nobody knows a password of this system before somebody sets one.
  const shadow = await readFile(at('etc/shadow'), 'utf8');
  await writeFile(at('etc/shadow'), shadow.replace(/^root:[^:]*:/m, 'root:*:'));
  await text(
    at('etc/ssh/sshd_config.d/bty.conf'),
    'PermitRootLogin prohibit-password\nPasswordAuthentication no\nHostKey /state/system/ssh/ssh_host_ed25519_key\n' +
      'AuthorizedKeysFile /state/system/ssh/authorized_keys\n',
  );
  for (const name of await readdir(at('etc/ssh')))
    if (name.startsWith('ssh_host_')) await rm(at(join('etc/ssh', name)));
  await text(
    at('root/.profile'),
    '[ -n "$BTY_NO_SETUP" ] || [ -n "$SSH_CONNECTION" ] || ! [ -t 0 ] || exec /usr/lib/bty/setup\n',
  );
  await text(at('etc/motd'), '');
  const archive = 'deb http://deb.debian.org';
  const parts = components.join(' ');
  await text(
    at('etc/apt/sources.list'),
    `${archive}/debian ${suite} ${parts}\n${archive}/debian ${suite}-updates ${parts}\n${archive}/debian-security ${suite}-security ${parts}\n${backports ? `${archive}/debian ${suite}-backports ${parts}\n` : ''}`,
  );
  if (backports)
    await text(
      at('etc/apt/apt.conf.d/52bty'),
      `Unattended-Upgrade::Origins-Pattern { "origin=Debian Backports,codename=${suite}-backports"; };\n`,
    );
  await rm(at('etc/apt/sources.list.d'), { recursive: true, force: true });
  await mkdir(at('etc/apt/sources.list.d'));
  for (const path of ['var/lib/apt/lists', 'var/cache/apt', 'var/log'])
    for (const name of await readdir(at(path)).catch(() => []))
      if (/^(lists|partial|.*_|.*\.bin|.*\.log|apt)/.test(name) && path !== 'var/log')
        await rm(at(join(path, name)), { recursive: true, force: true });
}

async function appendOnce(path: string, line: string): Promise<void> {
  if (!(await readFile(path, 'utf8')).includes(line)) await appendFile(path, line);
}

async function copy(from: string, to: string, mode: number): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to);
  await chmod(to, mode);
}

async function text(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  await writeFile(path, content);
}

async function script(path: string, command: string): Promise<void> {
  await text(path, `#!/bin/sh\n${command}\n`);
  await chmod(path, 0o755);
}
