/**
 * The live system beside bare tools, in the same virtual machines on the same kernel: how soon it asks for its plan,
 * and how fast it writes. A real appliance serves both.
 */
import { execFileSync } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { kernelOf, makeBare } from '../../netboot/tests/pxe/bare.ts';
import { Guest, type GuestOptions } from '../../netboot/tests/pxe/guest.ts';
import type { LabProcess } from '../../netboot/tests/pxe/lab.ts';
import { builtLive } from '../../netboot/tests/pxe/live.ts';
import { noScene, Scene } from '../../netboot/tests/pxe/scene.ts';
import { type Ratio, ratio, type Spread, spread } from './statistics.ts';
import { pathOf } from './tools.ts';

/** Programs of the pipeline that the flash is compared with. */
const tools = ['zstd', 'sha256sum', 'dd', 'tee'] as const;
const several = 4;

export interface Faced {
  readonly ours: Spread;
  readonly theirs: Spread;
  readonly ratio: Ratio;
}

export interface LiveFindings {
  readonly date: string;
  readonly rounds: number;
  readonly imageBytes: number;
  readonly storedBytes: number;
  /** Seconds from the kernel's start to the first request. */
  readonly boot: Faced;
  /** Bytes of the image a second, in one machine and in four at once together. */
  readonly flash: Faced;
  readonly together: Faced | null;
  /** Seconds of each stage of a netboot and flash, in their order. */
  readonly stages: readonly { readonly name: string; readonly seconds: Spread }[];
}

export interface LiveRun {
  readonly rounds: number;
  /** The image, raw and packed by zstd. */
  readonly raw: string;
  readonly zst: string;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Why it cannot be measured here, null where it can. */
export function noLiveBench(): string | null {
  const lacking = tools.filter((tool) => pathOf(tool) === null);
  return noScene() || (lacking.length > 0 ? `needs ${lacking.join(', ')}` : null);
}

export async function measureLive(run: LiveRun): Promise<LiveFindings> {
  const scene = await Scene.make({ dhcp: 'full', guests: several });
  const live = await mkdtemp(join(tmpdir(), 'bty-bench-live-'));
  try {
    // A build meanwhile must not change what is measured.
    const built = await builtLive();
    for (const name of ['vmlinuz', 'initrd', 'manifest.json'])
      await copyFile(join(built, name), join(live, name));
    return await new LiveBench(run, scene, live).run();
  } finally {
    await scene.close();
    await rm(live, { recursive: true });
  }
}

class LiveBench {
  readonly #run: LiveRun;
  readonly #scene: Scene;
  readonly #live: string;
  #next = 1;
  #sha256 = '';
  #imageBytes = 0;

  constructor(run: LiveRun, scene: Scene, live: string) {
    this.#run = run;
    this.#scene = scene;
    this.#live = live;
  }

  async run(): Promise<LiveFindings> {
    const { rounds, raw, zst, say, signal } = this.#run;
    this.#imageBytes = (await stat(raw)).size;
    this.#sha256 = execFileSync('sha256sum', [zst], { encoding: 'utf8' }).slice(0, 64);
    await this.#scene.appliance.upload(zst, basename(zst), this.#sha256);
    const wire = await this.#scene.lab.start('wire', 'tcpdump', [
      ...['-i', 'br0', '-n', '-l', '-A', '-tt', '-s', '600', '-Z', 'root'],
      // The first bytes of a request: "GET " where the header of TCP ends.
      'tcp dst port 8080 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420',
    ]);
    const [boots, bares, flashes, pipes, all, allPipes]: number[][] = [[], [], [], [], [], []];
    const stages = new Map<string, number[]>();
    for (let round = 0; round < rounds; round++) {
      signal.throwIfAborted();
      boots?.push(await this.#firstRequest(wire, 'live'));
      bares?.push(await this.#firstRequest(wire, 'bare'));
      say(
        `round ${round + 1}: first request after ${boots?.at(-1)?.toFixed(2)} s, bare ${bares?.at(-1)?.toFixed(2)} s`,
      );
      const [flashed] = await this.#flash(1, stages);
      const [piped] = await this.#pipe(1);
      flashes?.push(flashed ?? Number.NaN);
      pipes?.push(piped ?? Number.NaN);
      say(`round ${round + 1}: ${rate(flashed)}, pipeline ${rate(piped)}`);
    }
    // Four machines on few processors take minutes, so a quick look of one round leaves them out.
    for (let round = 0; round < Math.min(2, rounds - 1); round++) {
      signal.throwIfAborted();
      all?.push(sum(await this.#flash(several, new Map())));
      allPipes?.push(sum(await this.#pipe(several)));
      say(`four at once: ${rate(all?.at(-1))}, pipelines ${rate(allPipes?.at(-1))}`);
    }
    const faced = (ours: readonly number[] = [], theirs: readonly number[] = []): Faced => {
      return { ours: spread(ours), theirs: spread(theirs), ratio: ratio(ours, theirs) };
    };
    return {
      date: new Date().toISOString().slice(0, 10),
      rounds,
      imageBytes: this.#imageBytes,
      storedBytes: (await stat(zst)).size,
      boot: faced(boots, bares),
      flash: faced(flashes, pipes),
      together: rounds < 2 ? null : faced(all, allPipes),
      stages: [...stages].map(([name, seconds]) => ({ name, seconds: spread(seconds) })),
    };
  }

  #mac(): string {
    return `52:54:00:7a:00:${(this.#next++).toString(16).padStart(2, '0')}`;
  }

  /** Seconds from where the firmware starts the kernel to the first request that the appliance gets. */
  async #firstRequest(wire: LabProcess, kind: 'live' | 'bare'): Promise<number> {
    const { lab, appliance } = this.#scene;
    const mac = this.#mac();
    const path = kind === 'live' ? `/pxe/${mac}/plan` : `/healthz?${mac}`;
    let initrd = join(this.#live, 'initrd');
    if (kind === 'bare') {
      initrd = join(lab.folder, 'first.initrd');
      const script = `wget -q -O /dev/null "${appliance.url}${path}"; sleep 1000`;
      await makeBare(initrd, { live: this.#live, script });
    }
    const parameters = `quiet console=tty0 console=ttyS0,115200 bty.server=${appliance.url} bty.mac=${mac}`;
    const kernel = { path: join(this.#live, 'vmlinuz'), initrd, parameters };
    const common = { lab, name: `first-${kind}`, firmware: 'bios', tap: 0, disks: [] } as const;
    return this.#with([{ ...common, mac, kernel }], async ([guest]) => {
      await guest?.sees(/Booting from ROM/, 60);
      const began = Date.now() / 1000;
      for (let tries = 0; tries < 3000; tries++) {
        const at = requestTime(await readFile(wire.log, 'latin1'), path);
        if (at !== null) return at - began;
        await pause(100, undefined, { signal: this.#run.signal });
      }
      throw new Error(`${path} was never asked for`);
    });
  }

  /** Bytes a second of each of `count` machines that netboot, wait, and are bound at one moment. */
  async #flash(count: number, stages: Map<string, number[]>): Promise<readonly number[]> {
    const { appliance } = this.#scene;
    const options = Array.from({ length: count }, (_, tap) => this.#machine(`flash${tap}`, tap));
    return this.#with(options, (guests) =>
      Promise.all(
        guests.map(async (guest, index) => {
          const mac = options[index]?.mac ?? '';
          if (count > 1) {
            await guest.sees(/Waiting for a plan/, 600);
            await this.#meet(count);
          }
          if (count > 1) await appliance.bind(mac, { image_sha256: this.#sha256, boot_policy: 'flash-once' });
          await guest.sees(/Done: /, 1200);
          await appliance.until(mac, 'flashed', 60, (machine) => machine.last_flashed_at !== null);
          const flashed = (await appliance.events(mac)).find(({ kind }) => kind === 'machine.flashed');
          const seconds = (flashed?.details?.seconds ?? {}) as Record<string, number>;
          if (count === 1) await this.#stages(mac, seconds, stages);
          return (
            this.#imageBytes / ((seconds.clearing ?? 0) + (seconds.writing ?? 0) + (seconds.flushing ?? 0))
          );
        }),
      ),
    );
  }

  #machine(name: string, tap: number): GuestOptions {
    const disk = this.#scene.disk(`${name}.${this.#next}`, { bytes: this.#imageBytes });
    const common = { lab: this.#scene.lab, firmware: 'bios', tap } as const;
    return { ...common, name: `${name}.${this.#next}`, mac: this.#mac(), disks: [disk] };
  }

  #waiting: (() => void)[] = [];

  /** Resolves when `count` machines are here. */
  async #meet(count: number): Promise<void> {
    const here = new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    });
    if (this.#waiting.length === count) for (const go of this.#waiting.splice(0)) go();
    await here;
  }

  /** What became of the time between power and the end of the flash. */
  async #stages(
    mac: string,
    seconds: Readonly<Record<string, number>>,
    stages: Map<string, number[]>,
  ): Promise<void> {
    const { steps } = (await this.#scene.appliance.boots(mac))[0] ?? { steps: [] };
    const at = (kind: string, role?: string, from = 0): number => {
      const found = steps.find((step, index) => {
        return index >= from && step.kind === kind && (role === undefined || step.role === role);
      });
      return found ? Date.parse(found.at) / 1000 : Number.NaN;
    };
    const loaded = steps.findIndex(({ kind, role }) => kind === 'file' && role === 'initrd');
    const marks: readonly (readonly [string, number])[] = [
      ['iPXE: address', at('ack') - at('discover')],
      ['iPXE: scripts, kernel, initrd', at('file', 'initrd') - at('ack')],
      ['kernel, drivers, first DISCOVER', at('discover', undefined, loaded) - at('file', 'initrd')],
      ['address, agent, plan', at('plan') - at('discover', undefined, loaded)],
      ...Object.entries(seconds),
      ['plan until done', at('done') - at('plan')],
    ];
    for (const [name, value] of marks) stages.set(name, [...(stages.get(name) ?? []), value]);
  }

  /** The same by a pipeline of native tools. */
  async #pipe(count: number): Promise<readonly number[]> {
    const { lab, appliance } = this.#scene;
    const initrd = join(lab.folder, 'pipe.initrd');
    const address = `${appliance.url}/images/${this.#sha256}/${basename(this.#run.zst)}`;
    const go = `go${this.#next}`;
    const script = `echo PIPE ready
until wget -q -O /dev/null ${appliance.url}/boot/${go}; do sleep 0.2; done
mkfifo /tmp/hash
read start rest </proc/uptime
/usr/bin/sha256sum </tmp/hash >/tmp/sum &
wget -q -O - ${address} | /usr/bin/zstd -q -dc | /usr/bin/tee /tmp/hash |
  /usr/bin/dd of=/dev/vda bs=4M iflag=fullblock oflag=direct conv=fsync status=none
wait
read end rest </proc/uptime
echo "PIPE from $start to $end sum $(cat /tmp/sum)"
sleep 1000`;
    await makeBare(initrd, { live: this.#live, script, files: nativeFiles() });
    const path = await kernelOf(this.#live, join(lab.folder, 'pipe.kernel'));
    const kernel = { path, initrd, parameters: 'quiet console=tty0 console=ttyS0,115200' };
    const options = Array.from({ length: count }, (_, tap) => ({
      ...this.#machine(`pipe${tap}`, tap),
      kernel,
    }));
    const expected = execFileSync('sha256sum', [this.#run.raw], { encoding: 'utf8' }).slice(0, 64);
    return this.#with(options, async (guests) => {
      await Promise.all(guests.map((guest) => guest.sees(/PIPE ready/, 300)));
      await appliance.ask('PUT', `/boot/${go}`, { upload: join(this.#live, 'manifest.json') });
      return Promise.all(
        guests.map(async (guest) => {
          const [, start, end, digest] = await guest.sees(
            /PIPE from ([\d.]+) to ([\d.]+) sum (\w{64})/,
            1200,
          );
          if (digest !== expected) throw new Error('the pipeline wrote something else');
          return this.#imageBytes / (Number(end) - Number(start));
        }),
      );
    });
  }

  /** Runs `use` with machines that are switched off afterwards, and takes their disks away. */
  async #with<Value>(
    options: readonly GuestOptions[],
    use: (guests: readonly Guest[]) => Promise<Value>,
  ): Promise<Value> {
    const { appliance } = this.#scene;
    const guests: Guest[] = [];
    try {
      for (const each of options) {
        const isFlash = each.disks.length > 0 && each.kernel === undefined && options.length === 1;
        if (isFlash)
          await appliance.bind(each.mac, { image_sha256: this.#sha256, boot_policy: 'flash-once' });
        guests.push(await Guest.start(each));
      }
      return await use(guests);
    } finally {
      for (const guest of guests) await guest.cutPower();
      for (const { disks } of options) for (const { file } of disks) await rm(file, { force: true });
    }
  }
}

/** The tools and the libraries that they load, by their path in the archive. */
function nativeFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const tool of tools) {
    const path = pathOf(tool) ?? '';
    files.set(`usr/bin/${tool}`, path);
    for (const [, library] of execFileSync('ldd', [path], { encoding: 'utf8' }).matchAll(/(\/\S+) \(/g))
      if (library) files.set(library.slice(1), library);
  }
  return files;
}

/** Seconds since 1970 at which tcpdump saw `path` asked for; null while it was not. */
function requestTime(log: string, path: string): number | null {
  const at = log.indexOf(`GET ${path} HTTP`);
  if (at < 0) return null;
  const stamps = [...log.slice(0, at).matchAll(/^(\d{10}\.\d{6}) IP/gm)];
  return Number(stamps.at(-1)?.[1] ?? Number.NaN);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const rate = (value: number | undefined): string => `${((value ?? Number.NaN) / 1e6).toFixed(1)} MB/s`;
