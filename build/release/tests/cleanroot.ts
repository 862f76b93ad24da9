import { execFile, type SpawnOptions, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../version.ts';

const run = promisify(execFile);
const suite = 'bookworm';
/** Besides what is essential in Debian: what `bty` depends on; nothing of Node.js and nothing of this checkout. */
const packages = ['libgcc-s1', 'libstdc++6', 'passwd', 'util-linux'];

/** Why no clean root can be made here, or false. */
export const noCleanRoot =
  process.getuid?.() !== 0
    ? 'a root of its own needs root'
    : ['mmdebstrap', 'unshare', 'chroot'].some((tool) => !found(tool)) && 'mmdebstrap is not installed';

function found(tool: string): boolean {
  return (process.env.PATH ?? '')
    .split(':')
    .concat('/usr/sbin', '/sbin')
    .some((folder) => existsSync(join(folder, tool)));
}

/** A fresh small Debian in a folder: no packages but its own, no network but a loopback that nobody else has. */
export class CleanRoot {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** With the packages of Debian `more` in it. */
  static async make(more: readonly string[] = []): Promise<CleanRoot> {
    const archive = await base([...packages, ...more]);
    const folder = mkdtempSync(join(tmpdir(), 'bty-root-'));
    await run('tar', ['-xf', archive, '-C', folder, '--numeric-owner', '--exclude=./dev/*']);
    return new CleanRoot(folder);
  }

  /** Runs in it, and gives standard output. Rejects with what was said when it fails. */
  async run(command: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> {
    const [program = '', ...args] = this.#inside(command);
    const { stdout } = await run(program, args, { env: { ...base0, ...environment }, maxBuffer: 1 << 24 });
    return stdout;
  }

  /** Starts in it; the child is the command. */
  start(command: readonly string[], options: SpawnOptions = {}) {
    const [program = '', ...args] = this.#inside(command);
    return spawn(program, args, { env: base0, ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #inside(command: readonly string[]): string[] {
    // The mounts are in a namespace that ends with the command.
    const prepare =
      'mount -t proc proc "$0/proc" && mount -t sysfs sys "$0/sys" && mount -t tmpfs dev "$0/dev" && ' +
      'mkdir -m 1777 "$0/dev/shm" && for each in null zero urandom random; do touch "$0/dev/$each" && ' +
      'mount --bind "/dev/$each" "$0/dev/$each" || exit 1; done; folder=$0; exec chroot "$folder" "$@"';
    // One executes the next, so that a signal for the child is one for the command.
    return ['unshare', '--mount', 'sh', '-c', prepare, this.folder, ...command];
  }
}

const base0 = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' };

/** Archive of the root, made once from packages of Debian and kept by what is in it. */
async function base(packages: readonly string[]): Promise<string> {
  const name = createHash('sha256')
    .update([suite, ...packages].join(' '))
    .digest('hex');
  const folder = join(root, '.cache', 'roots');
  const archive = join(folder, `${name.slice(0, 16)}.tar`);
  if (existsSync(archive)) return archive;
  await mkdir(folder, { recursive: true });
  const work = join(folder, `.${process.pid}.tar`);
  try {
    const include = `--include=${packages.join(',')}`;
    await run('mmdebstrap', ['--variant=essential', include, '--quiet', suite, work], { maxBuffer: 1 << 24 });
    await rename(work, archive);
  } finally {
    await rm(work, { force: true });
  }
  return archive;
}

/** Folder of the npm of this machine. It cannot be asked: it answers for the Node.js that happens to run it. */
export function npmFolder(): string {
  const folders = (process.env.PATH ?? '').split(':');
  const npm = folders.map((folder) => join(folder, 'npm')).find((path) => existsSync(path));
  if (npm === undefined) throw new Error('npm is not on the PATH');
  return dirname(dirname(realpathSync(npm)));
}
