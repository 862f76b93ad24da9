import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output } from '../live/command.ts';
import { type Architecture, debianName } from '../pack/foreign.ts';
import { tarOf } from '../release/archive.ts';
import { sourceDate, version } from '../release/version.ts';
import { layFilesystem, user } from './filesystem.ts';
import { type Descriptor, Layout } from './layout.ts';

export interface Built {
  readonly architecture: Architecture;
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  /** Bytes of the unpacked root. */
  readonly unpacked: number;
}

/** What the image says of itself, and how it is run. */
export const settings = {
  User: `${user.id}:${user.id}`,
  Env: [
    'PATH=/usr/lib/bty',
    'BTY_STATE_DIR=/var/lib/bty',
    'BTY_IPXE_DIR=/usr/lib/bty/boot',
    'BTY_WEB_PORT=8080',
  ],
  Entrypoint: [
    '/usr/lib/bty/node',
    '--disable-sigusr1',
    '--disable-warning=ExperimentalWarning',
    '/usr/lib/bty/bty-web.cjs',
  ],
  Cmd: ['serve'],
  WorkingDir: '/var/lib/bty',
  ExposedPorts: { '8080/tcp': {} },
  Volumes: { '/var/lib/bty': {} },
  StopSignal: 'SIGTERM',
  // Not in the specification of images, and heeded by Docker and Podman all the same. Nanoseconds.
  Healthcheck: {
    Test: ['CMD', '/usr/lib/bty/node', '/usr/lib/bty/health.cjs'],
    Interval: 30e9,
    Timeout: 5e9,
    StartPeriod: 30e9,
    Retries: 3,
  },
  Labels: {
    'org.opencontainers.image.title': 'bty-web',
    'org.opencontainers.image.description': 'Boots bare machines from the network and writes their disks.',
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.licenses': 'Apache-2.0',
  },
} as const;

/** Builds the image for one architecture into the folder `to` as an OCI layout of its own. */
export async function buildImage(to: string, architecture: Architecture): Promise<Built> {
  const layout = new Layout(to);
  await mkdir(to, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), 'bty-container-'));
  try {
    const parts = await layFilesystem(work, architecture);
    const unpacked = await Promise.all(
      Object.values(parts).map(async (folder: string) =>
        Number.parseInt(await output('du', ['-sb', folder]), 10),
      ),
    );
    const layers = [
      await layout.layer(await archive(join(work, 'runtime.tar'), parts.runtime)),
      await layout.layer(await archive(join(work, 'program.tar'), parts.program)),
      await layout.layer(await stateFolder(join(work, 'state.tar'), work)),
    ];
    const created = new Date(sourceDate() * 1000).toISOString();
    const config = await layout.document('config.v1+json', {
      created,
      architecture: debianName(architecture),
      os: 'linux',
      config: settings,
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.unpacked) },
      history: ['runtime', 'program', 'state'].map((part) => ({ created, created_by: `bty: ${part}` })),
    });
    const blobs = layers.map(({ blob }) => blob);
    const manifest = await layout.document('manifest.v1+json', {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config,
      layers: blobs,
    });
    await layout.index([
      {
        ...manifest,
        platform: { architecture: debianName(architecture), os: 'linux' },
        annotations: { 'org.opencontainers.image.ref.name': version },
      },
    ]);
    return {
      architecture,
      manifest,
      config,
      layers: blobs,
      unpacked: unpacked.reduce((sum, bytes) => sum + bytes, 0),
    };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function archive(file: string, folder: string): Promise<string> {
  await tarOf(`${file}.gz`, folder, ['.'], sourceDate());
  return `${file}.gz`;
}

/** The volume's folder belongs to the user of the image, so that a new volume does too. */
async function stateFolder(file: string, work: string): Promise<string> {
  await mkdir(join(work, 'state/var/lib/bty'), { recursive: true });
  const common = ['--format=gnu', '--numeric-owner', `--mtime=@${sourceDate()}`, '--no-recursion'];
  const own = [`--owner=${user.id}`, `--group=${user.id}`, '--mode=0750'];
  await output('tar', [...common, ...own, '-cf', file, '-C', join(work, 'state'), 'var/lib/bty']);
  await output('gzip', ['-n', '-6', file]);
  return `${file}.gz`;
}
