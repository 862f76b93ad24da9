import { readdir, readFile, stat } from 'node:fs/promises';
import type { DiskNews } from '../../shared/app/contract.ts';
import { type AppDisk, disksIn } from '../../shared/app/disk.ts';
import { asFailure, failure } from '../../shared/failure.ts';
import { ask, type Program } from './program.ts';

/** Milliseconds between two looks at whether something was plugged in or out. */
const period = 1000;

/**
 * Watches the disks of the machine. A look costs a few short reads on Linux; only when something has changed is `bty`
 * asked for the list.
 */
export class DiskWatch {
  news: DiskNews = { disks: [], problem: null, looked: false };
  readonly #program: Program;
  readonly #tell: (news: DiskNews) => void;
  readonly #stop = new AbortController();
  #loops = false;
  #virtual: string | null = null;
  #trace = '';
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;

  constructor(program: Program, tell: (news: DiskNews) => void) {
    this.#program = program;
    this.#tell = tell;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#look(false), period);
    void this.#look(true);
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#stop.abort();
  }

  /** Which disks are listed besides the real ones. */
  async include(loops: boolean, virtual: string | null): Promise<void> {
    if (loops === this.#loops && virtual === this.#virtual) return;
    this.#loops = loops;
    this.#virtual = virtual;
    await this.refresh();
  }

  /** Lists anew, whether or not something has changed. */
  async refresh(): Promise<void> {
    await this.#looking;
    await this.#look(true);
  }

  #look(anyway: boolean): Promise<void> {
    this.#looking ??= this.#compare(anyway).finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #compare(anyway: boolean): Promise<void> {
    const trace = await traceOfMachine();
    if (!anyway && trace === this.#trace) return;
    this.#trace = trace;
    const news = await this.#list();
    if (this.#stop.signal.aborted || JSON.stringify(news) === JSON.stringify(this.news)) return;
    this.news = news;
    this.#tell(news);
  }

  async #list(): Promise<DiskNews> {
    try {
      const args = ['list', 'disks', '--json', ...(this.#loops ? ['--all'] : [])];
      const printed = await ask(this.#program, args, 'list the disks', this.#stop.signal);
      const disks = disksIn(printed);
      if (disks === null)
        throw failure('PROGRAM_FAILED', { purpose: 'list the disks', problem: 'bty is too old.' });
      const virtual = this.#virtual === null ? [] : await virtualDisk(this.#virtual);
      return {
        disks: [...virtual, ...disks.filter(({ kind, size }) => kind !== 'loop' || size > 0)],
        problem: null,
        looked: true,
      };
    } catch (error) {
      return { disks: this.news.disks, problem: asFailure(error).report(), looked: true };
    }
  }
}

/** A file that stands for a disk, as a disk. */
async function virtualDisk(path: string): Promise<readonly AppDisk[]> {
  const found = await stat(path).catch(() => null);
  if (!found?.isFile() || found.size === 0) return [];
  return [
    {
      id: `${path}|${found.size}`,
      kind: 'virtual',
      path,
      size: found.size,
      name: '',
      serial: null,
      diskseq: null,
      transport: null,
      removable: false,
      system: false,
      partitions: [],
      mounts: [],
      refusals: [],
    },
  ];
}

/**
 * Text that changes whenever a disk, a medium, a mount or a swap space comes or goes; elsewhere than on Linux the time,
 * so that every fourth look lists anew.
 */
async function traceOfMachine(): Promise<string> {
  if (process.platform !== 'linux') return String(Math.floor(Date.now() / (4 * period)));
  const names = await readdir('/sys/block').catch(() => []);
  const facts = names
    .filter((name) => !/^(ram|zram|dm-|md)/.test(name))
    .flatMap((name) => ['diskseq', 'size', 'ro'].map((fact) => `/sys/block/${name}/${fact}`));
  const files = [...facts, '/proc/self/mounts', '/proc/swaps'];
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  return [...names, ...texts].join('\n');
}
