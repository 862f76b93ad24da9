/** Debian packages of the live system: downloaded by apt, unpacked into a cache, never installed. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { output } from './command.ts';

/** Program packages, and those of the libraries that their programs and Node.js link. */
const programs = ['busybox-static', 'util-linux', 'efibootmgr', 'e2fsprogs'];
const libraries = [
  ...['libc6', 'libstdc++6', 'libgcc-s1', 'libblkid1', 'libmount1', 'libsmartcols1', 'libudev1', 'libtinfo6'],
  ...['libselinux1', 'libpcre2-8-0', 'libefivar1', 'libefiboot1', 'libpopt0', 'libcap-ng0'],
  ...['libext2fs2', 'libcom-err2', 'libuuid1', 'libcap2'],
];
/** Vendor firmware of network cards, in the component non-free-firmware. */
const firmware = ['firmware-realtek', 'firmware-bnx2', 'firmware-bnx2x', 'firmware-misc-nonfree'];

const archiveKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface PackageOptions {
  readonly cache: string;
  /** `amd64` or `arm64`. */
  readonly architecture: string;
  /** Adds vendor firmware, whose licences are not free. */
  readonly firmware: boolean;
  /** Another suite than the machine's for the kernel, as `bookworm-backports`. */
  readonly kernelSuite: string | undefined;
  readonly say: (text: string) => void;
}

export interface Package {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** Folder with its files. */
  readonly folder: string;
}

export interface Packages {
  readonly kernel: Package;
  readonly firmware: readonly Package[];
  readonly others: readonly Package[];
}

/** Downloads what the cache lacks and unpacks it. Rejects with the reason why a package is not to be had. */
export async function fetchPackages(options: PackageOptions): Promise<Packages> {
  const apt = await ownSources(options);
  const kernelApt =
    options.kernelSuite === undefined ? apt : [...apt, '-o', `APT::Default-Release=${options.kernelSuite}`];
  const kernelName = await kernelPackage(kernelApt, options.architecture);
  const kernel = (await fetchOffers([kernelName], kernelApt, options)).get(kernelName);
  const others = [...programs, ...(await namesToday(libraries, apt))];
  const fetched = await fetchOffers([...others, ...(options.firmware ? firmware : [])], apt, options);
  const named = (names: readonly string[]) => names.flatMap((name) => fetched.get(name) ?? []);
  if (!kernel) throw new Error(`apt offers no package ${kernelName}`);
  return { kernel, others: named(others), firmware: named(firmware) };
}

/** Names of libraries as this suite has them: since Debian 13 those with a 64-bit time_t end in t64. */
async function namesToday(names: readonly string[], apt: readonly string[]): Promise<readonly string[]> {
  const later = (name: string) => `${name}t64`;
  const table = await output('apt-cache', [...apt, 'madison', ...names, ...names.map(later)]);
  const known = new Set(table.split('\n').map((line) => line.split('|')[0]?.trim()));
  return names.map((name) => (!known.has(name) && known.has(later(name)) ? later(name) : name));
}

/** The packages `names` of this machine's own sources, in this order, downloaded and unpacked like those above. */
export async function fetchNamed(names: readonly string[], options: PackageOptions): Promise<Package[]> {
  const fetched = await fetchOffers(names, await ownSources(options), options);
  return names.flatMap((name) => fetched.get(name) ?? []);
}

async function fetchOffers(
  names: readonly string[],
  apt: readonly string[],
  options: PackageOptions,
): Promise<ReadonlyMap<string, Package>> {
  await mkdir(join(options.cache, 'packages'), { recursive: true });
  const fetched = new Map<string, Package>();
  for (const offer of await offersOf(names, apt, join(options.cache, 'packages')))
    fetched.set(offer.name, await fetchPackage(offer, apt, options));
  return fetched;
}

/**
 * Options for apt. With nothing but what this machine's own sources have, they are used as they are; else apt gets
 * lists of its own, made from them with the further component, suite or architecture.
 */
async function ownSources(options: PackageOptions): Promise<readonly string[]> {
  const common = ['-q', '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::http::Timeout=20'];
  const native = (await output('dpkg', ['--print-architecture'])).trim() === options.architecture;
  if (native && !options.firmware && options.kernelSuite === undefined) return common;
  const targets = await output('apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI)|$(RELEASE)|$(SIGNED_BY)|$(ORIGIN)',
    'Identifier: Packages',
  ]);
  const lines = new Set<string>();
  const components = options.firmware ? 'main non-free-firmware' : 'main';
  for (const target of targets.split('\n')) {
    const [address, release, signedBy, origin] = target.split('|');
    if (!address || !release || !origin?.startsWith('Debian')) continue;
    // apt leaves the word as it is where the sources name no keyring by this option.
    const keyring = signedBy && !signedBy.startsWith('$(') ? signedBy : archiveKeyring;
    const signed = ` signed-by=${keyring}`;
    const line = (suite: string) =>
      `deb [arch=${options.architecture}${signed}] ${address} ${suite} ${components}`;
    lines.add(line(release));
    if (options.kernelSuite !== undefined && !release.includes('-')) lines.add(line(options.kernelSuite));
  }
  if (lines.size === 0) throw new Error('the sources of this machine name no archive of Debian');
  const folder = join(options.cache, 'apt', options.architecture);
  for (const part of ['lists/partial', 'cache/archives/partial'])
    await mkdir(join(folder, part), { recursive: true });
  const list = join(folder, 'sources.list');
  await writeFile(list, `${[...lines].join('\n')}\n`);
  const settings = {
    'Dir::Etc::sourcelist': list,
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    'APT::Architecture': options.architecture,
    'APT::Architectures': options.architecture,
  };
  const own = [...common, ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
  options.say('Fetching package lists ...');
  await output('apt-get', [...own, 'update']);
  return own;
}

async function kernelPackage(apt: readonly string[], architecture: string): Promise<string> {
  const meta = `linux-image-${architecture}`;
  const [, name] =
    /Depends: (linux-image-\S+)/.exec(await output('apt-cache', [...apt, 'depends', meta])) ?? [];
  if (!name) throw new Error(`apt knows no ${meta} (run apt-get update)`);
  return name;
}

interface Offer {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
}

/** What apt would download, in one question: each takes it seconds. */
async function offersOf(
  names: readonly string[],
  apt: readonly string[],
  // apt leaves out what lies in its working directory already.
  cwd: string,
): Promise<readonly Offer[]> {
  const told = await output('apt-get', [...apt, 'download', '--print-uris', ...names], { cwd });
  const offers = new Map<string, Offer>();
  for (const [, file, sha256] of told.matchAll(/^'\S+' (\S+) \d+ SHA256:([0-9a-f]{64})/gm)) {
    const [name, version] = (file ?? '').split('_');
    if (name && version && sha256) offers.set(name, { name, version: decodeURIComponent(version), sha256 });
  }
  return names.map((name) => {
    const offer = offers.get(name);
    if (!offer) throw new Error(`apt offers no package ${name} with a SHA-256 (run apt-get update)`);
    return offer;
  });
}

async function fetchPackage(
  { name, version, sha256 }: Offer,
  apt: readonly string[],
  options: PackageOptions,
): Promise<Package> {
  const folder = join(options.cache, 'packages', `${name}_${sha256.slice(0, 16)}`);
  if ((await stat(folder).catch(() => null)) === null) {
    options.say(`Downloading ${name} ${version} ...`);
    const work = `${folder}.${process.pid}`;
    await rm(work, { recursive: true, force: true });
    await mkdir(join(work, 'files'), { recursive: true });
    await output('apt-get', [...apt, 'download', `${name}=${version}`], { cwd: work });
    const archive = (await readdir(work)).find((each) => each.endsWith('.deb'));
    if (!archive) throw new Error(`apt downloaded no ${name}`);
    const content = await readFile(join(work, archive));
    const actual = createHash('sha256').update(content).digest('hex');
    if (actual !== sha256) throw new Error(`${archive} has the SHA-256 ${actual}, expected ${sha256}`);
    await output('dpkg-deb', ['--extract', join(work, archive), join(work, 'files')]);
    await rm(join(work, archive));
    // Another build may have been faster; its files are as good.
    await rename(work, folder).catch(() => rm(work, { recursive: true }));
  }
  return { name, version, sha256, folder: join(folder, 'files') };
}
