/** Builds the live system: a kernel of Debian and an initramfs that holds the agent. */
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { cpio } from '../../shared/archive/cpio.ts';
import { type Architecture, addonOf, runtimeOf } from '../pack/foreign.ts';
import { output } from './command.ts';
import { blankLanguages } from './locales.ts';
import { type Drivers, pickDrivers } from './modules.ts';
import { fetchPackages, type Packages } from './packages.ts';
import { bundleProgram } from './program.ts';
import { squashfs } from './squashfs.ts';
import { firstDrivers, imageFile, systemLayers, Tree } from './tree.ts';

const root = join(import.meta.dirname, '..', '..');
const recipe = join(root, 'netboot', 'live');
/**
 * Bytes of the system that are unpacked together. Larger ones pack a little better; a machine unpacks more that it does
 * not read, and the kernel keeps memory for two blocks for each processor that there might be.
 */
const blockBytes = 1 << 19;
/** Where the agent lies in the live system. */
const place = '/usr/lib/bty';

export interface LiveOptions {
  /** Folder for `vmlinuz`, `initrd`, `manifest.json` and `sha256`. */
  readonly to: string;
  readonly cache: string;
  /** Folder that keeps packed layers; `layers` in the cache unless given. */
  readonly layers?: string;
  readonly architecture: 'amd64' | 'arm64';
  readonly firmware: boolean;
  readonly kernelSuite: string | undefined;
  /** Level of zstd, 1 to 22. */
  readonly level: number;
  /** For a stick that boots by itself: further drivers, and what a person in front of it works with. */
  readonly stick?: boolean;
  readonly say: (text: string) => void;
}

export interface LiveManifest {
  readonly schema_version: 1;
  readonly bty_version: string;
  readonly architecture: string;
  readonly kernel: string;
  /** Kernel parameters besides those that every boot script has: `bty.server`, `bty.mac`, the consoles. */
  readonly command_line: readonly string[];
  /** The files of this release, by the names of the contract where an appliance serves them. */
  readonly files: readonly {
    readonly name: string;
    readonly serve_as: string;
    readonly size_bytes: number;
    readonly sha256: string;
  }[];
  /** Bytes of the root that the kernel unpacks into memory. */
  readonly unpacked_bytes: number;
  /** The initramfs in its order: archives that are packed as a whole, and one that holds a packed file system. */
  readonly layers: readonly {
    readonly name: string;
    readonly packing: 'zstd' | 'squashfs';
    readonly bytes: number;
    readonly packed_bytes: number;
  }[];
  readonly modules: readonly string[];
  readonly packages: readonly { readonly name: string; readonly version: string; readonly sha256: string }[];
  /** Firmware files that are in it, and how many the drivers may ask for beyond them. */
  readonly firmware: readonly string[];
  readonly firmware_absent: number;
}

/** Builds everything anew, except what the cache holds under its content. Resolves the manifest. */
export async function buildLive(options: LiveOptions): Promise<LiveManifest> {
  const { say, cache } = options;
  const layersIn = options.layers ?? join(cache, 'layers');
  const packages = await fetchPackages(options);
  const work = await mkdtemp(join(tmpdir(), 'bty-live-'));
  try {
    const wanted = JSON.parse(await readFile(join(recipe, 'modules.json'), 'utf8')) as Record<
      string,
      string[]
    >;
    const { stick: ofStick = [], ...ofAll } = wanted;
    const drivers = await pickDrivers(
      packages.kernel.folder,
      join(work, 'drivers'),
      [...Object.values(ofAll).flat(), ...(options.stick ? ofStick : [])],
      firstDrivers,
    );
    const version = (JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string })
      .version;
    const { base, system } = await systemOf(options, packages, drivers, work);
    const firmware = await firmwareOf(packages, drivers);
    // In the first layer, so that a machine whose memory ends behind it can say so.
    await base.copy('init', join(recipe, 'init'), 0o755);
    await base.copy('early/alarm', join(recipe, 'alarm'), 0o755);
    const packed: Layer[] = [
      await archived('base', base, options, layersIn),
      await mountable('system', system, options, layersIn),
      // Packed as one they are a quarter smaller.
      await archived(
        'drivers',
        await new Tree().copyAll('lib', join(drivers.folder, 'lib')),
        options,
        layersIn,
      ),
    ];
    if (firmware.names.length > 0) packed.push(await archived('firmware', firmware.tree, options, layersIn));
    packed.push(await archived('agent', await agentOf(options, version, work), options, layersIn));
    // The kernel unpacks one archive after another; each begins on a multiple of four bytes.
    const initrd = Buffer.concat(
      packed.flatMap(({ content }) => [content, new Uint8Array(-content.length & 511)]),
    );
    const kernel = await readFile(drivers.kernel);
    const manifest: LiveManifest = {
      schema_version: 1,
      bty_version: version,
      architecture: options.architecture,
      kernel: drivers.release,
      command_line: [],
      files: [
        described('vmlinuz', options.architecture, kernel),
        described('initrd', options.architecture, initrd),
      ],
      unpacked_bytes: packed.reduce((sum, { bytes }) => sum + bytes, 0),
      layers: packed.map(({ content, ...layer }) => ({ ...layer, packed_bytes: content.length })),
      modules: drivers.modules,
      packages: [packages.kernel, ...packages.others, ...packages.firmware].map(
        ({ name, version, sha256 }) => ({ name, version, sha256 }),
      ),
      firmware: firmware.names,
      firmware_absent: drivers.firmware.length - firmware.names.length,
    };
    if (drivers.absent.length > 0) say(`Built into this kernel or not in it: ${drivers.absent.join(' ')}`);
    await write(options.to, manifest, kernel, initrd, packages);
    return manifest;
  } finally {
    await rm(work, { recursive: true });
  }
}

async function systemOf(
  options: LiveOptions,
  packages: Packages,
  drivers: Drivers,
  work: string,
): Promise<{ base: Tree; system: Tree }> {
  const native = options.architecture === (process.arch === 'x64' ? 'amd64' : process.arch);
  const source = native ? process.execPath : await runtimeOf(nodeArchitecture(options));
  const node = join(work, 'node');
  const triplet = options.architecture === 'amd64' ? 'x86_64-linux-gnu' : 'aarch64-linux-gnu';
  const strip = native ? 'strip' : `${triplet}-strip`;
  await output(strip, ['-o', node, source]).catch(async (error: unknown) => {
    if (native) throw error;
    options.say(`Node.js keeps its symbols, which makes it larger: ${strip} (binutils) is not here.`);
    await cp(source, node);
  });
  const program = await readFile(node);
  const { bytes } = blankLanguages(program);
  if (bytes === 0) options.say('Node.js keeps its tables of all languages: they are not where they were.');
  await writeFile(node, program);
  return systemLayers({ packages: packages.others, node, triplet, drivers });
}

async function firmwareOf(packages: Packages, drivers: Drivers): Promise<{ tree: Tree; names: string[] }> {
  const [tree, names] = [new Tree(), [] as string[]];
  for (const name of drivers.firmware) {
    for (const { folder } of packages.firmware) {
      const places = ['lib', join('usr', 'lib')].map((place) => join(folder, place, 'firmware', name));
      const found = await Promise.all(places.map((path) => stat(path).catch(() => null)));
      const from = places.find((_path, index) => found[index]?.isFile());
      if (from === undefined) continue;
      await tree.copy(join('lib/firmware', name), from, 0o644);
      names.push(name);
      break;
    }
  }
  return { tree, names };
}

async function agentOf(options: LiveOptions, version: string, work: string): Promise<Tree> {
  const tree = new Tree();
  const scripts = ['devices', 'interface', 'lease', ...(options.stick ? ['stick', 'desk', 'images'] : [])];
  for (const name of scripts) await tree.copy(join(place, name), join(recipe, name), 0o755);
  const programs = options.stick ? stickPrograms : new Map<string, string>();
  if (options.stick) await tree.copy('bin/systemctl', join(recipe, 'systemctl'), 0o755);
  const files = await bundleProgram({ version, to: join(work, 'agent'), place, programs });
  for (const [name, from] of files) await tree.copy(join(place, name), from, 0o644);
  return tree.copy(join(place, 'koffi.node'), await addonOf(nodeArchitecture(options)), 0o755);
}

/** Programs of the stick besides the agent, by the name of their bundle. */
const stickPrograms: ReadonlyMap<string, string> = new Map([
  ['stick.js', join(root, 'agent', 'stick', 'main.ts')],
]);

const nodeArchitecture = ({ architecture }: LiveOptions): Architecture =>
  architecture === 'amd64' ? 'x64' : 'arm64';

interface Layer {
  readonly name: string;
  readonly packing: 'zstd' | 'squashfs';
  /** How large it is where the kernel has unpacked it. */
  readonly bytes: number;
  readonly content: Uint8Array;
}

/** `tree` as an archive packed by zstd. */
async function archived(name: string, tree: Tree, options: LiveOptions, folder: string): Promise<Layer> {
  const { level, say } = options;
  const archive = cpio(tree.entries());
  say(`Packing ${name} (${megabytes(archive.length)}) ...`);
  const params = {
    [constants.ZSTD_c_compressionLevel]: level,
    [constants.ZSTD_c_checksumFlag]: 1,
  };
  const content = await cached(folder, `${digestOf(archive)}.${level}`, () =>
    promisify(zstdCompress)(archive, { params, chunkSize: 1 << 20 }),
  );
  return { name, packing: 'zstd', bytes: archive.length, content };
}

/** `tree` as a file system in an archive that is not packed, with its digest beside it. */
async function mountable(name: string, tree: Tree, options: LiveOptions, folder: string): Promise<Layer> {
  const { level, say } = options;
  const entries = [...tree.entries()];
  const whole = cpio(entries);
  say(`Packing ${name} (${megabytes(whole.length)}) ...`);
  const image = await cached(folder, `${digestOf(whole)}.${level}.${blockBytes}`, () =>
    squashfs(entries, { blockBytes, level }),
  );
  const sum = new TextEncoder().encode(`${digestOf(image)}  /${imageFile}\n`);
  const wrapped = new Tree().file(imageFile, image).file(`${imageFile}.sha256`, sum);
  const content = cpio(wrapped.entries());
  return { name, packing: 'squashfs', bytes: content.length, content };
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** What `make` gives, from the cache where it was made before: the large layers change seldom. */
async function cached(folder: string, key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
  const path = join(folder, `${key}.${process.versions.zstd}.zst`);
  const known = await readFile(path).catch(() => null);
  if (known) return known;
  const made = await make();
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.${process.pid}`, made);
  await rename(`${path}.${process.pid}`, path);
  return made;
}

function described(name: string, architecture: string, content: Uint8Array): LiveManifest['files'][number] {
  const sha256 = digestOf(content);
  const machine = architecture === 'amd64' ? 'x86_64' : architecture;
  return { name, serve_as: `bty-netboot-${machine}.${name}`, size_bytes: content.length, sha256 };
}

async function write(
  to: string,
  manifest: LiveManifest,
  kernel: Uint8Array,
  initrd: Uint8Array,
  packages: Packages,
): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  const fresh = await mkdtemp(`${to}.`);
  await writeFile(join(fresh, 'vmlinuz'), kernel);
  await writeFile(join(fresh, 'initrd'), initrd);
  await writeFile(join(fresh, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const sums = manifest.files.map(({ name, sha256 }) => `${sha256}  ${name}\n`);
  await writeFile(join(fresh, 'sha256'), sums.join(''));
  for (const each of [packages.kernel, ...packages.others, ...packages.firmware]) {
    const notice = join(each.folder, 'usr', 'share', 'doc', each.name, 'copyright');
    await mkdir(join(fresh, 'licences'), { recursive: true });
    await cp(notice, join(fresh, 'licences', `${basename(each.name)}.txt`)).catch(() => {});
  }
  // Whoever reads meanwhile has the old ones or the new ones.
  await rm(`${to}.old`, { recursive: true, force: true });
  await rename(to, `${to}.old`).catch(() => {});
  await rename(fresh, to);
  await rm(`${to}.old`, { recursive: true, force: true });
}

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
