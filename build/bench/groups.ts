import type { Form } from './image.ts';
import type { Medium } from './options.ts';
import type { Command, Pipeline } from './pipeline.ts';
import type { Tool } from './tools.ts';

/** What the commands of a contender are made of. */
export interface Place {
  readonly program: string;
  readonly path: (form: Form) => string;
  readonly imageBytes: number;
  readonly devices: readonly string[];
}

/** One way to do the work of a group. */
export interface Contender {
  readonly name: string;
  readonly maker: 'bty' | 'others';
  /** What it reads: made before, and in the page cache when it starts. */
  readonly reads: readonly Form[];
  readonly tools: readonly Tool[];
  readonly targets: number;
  /** What must be on each target afterwards. */
  readonly leaves: 'image' | 'mapped blocks';
  /** Whether it may give parts of the target back instead of writing zeros. */
  readonly discards: boolean;
  readonly pipelines: (place: Place) => readonly Pipeline[];
}

/** Ours against theirs, and what we allow ourselves. */
export interface Comparison {
  readonly work: string;
  readonly ours: string;
  readonly theirs: string;
  /** Largest ratio of our time to theirs. */
  readonly bar: number;
  /** The medium for which the bar is meant. */
  readonly barMedium: Medium;
  /** Whose bytes we hash in addition to what they do; their CPU time and that of the hash bound ours. Null: no bound. */
  readonly cpuBound: { readonly hashed: Form | null } | null;
  /** Most bytes of memory for us, or null. */
  readonly memoryBar: number | null;
}

/** Contenders that do the same work in turn, in every round. */
export interface Group {
  readonly name: string;
  readonly media: readonly Medium[];
  readonly contenders: readonly Contender[];
  readonly comparisons: readonly Comparison[];
}

const memoryBar = 150 * 2 ** 20;
/** Seconds that `bty list disks` may take. */
export const listBar = 0.5;

const dd = (device: string | undefined, input: readonly string[] = []): Command => [
  'dd',
  ...input,
  `of=${device ?? ''}`,
  'bs=4M',
  'oflag=direct',
  'iflag=fullblock',
  'conv=fsync',
  'status=none',
];

function bty(
  name: string,
  reads: readonly Form[],
  options: Partial<Contender> & { flags?: string[] } = {},
): Contender {
  const { flags = ['--verify', 'none'], ...rest } = options;
  const [image] = reads;
  return {
    name,
    maker: 'bty',
    reads,
    tools: [],
    targets: 1,
    leaves: 'image',
    discards: false,
    pipelines: ({ program, path, devices }) => {
      const targets = devices.flatMap((device) => ['--target', device]);
      const common = ['--yes', '--allow-loop', '--progress', 'none'];
      const expanded = flags.map((flag) => (flag === 'BMAP' ? path('bmap') : flag));
      return [[[program, 'flash', '--image', path(image ?? 'raw'), ...targets, ...common, ...expanded]]];
    },
    ...rest,
  };
}

function peer(
  name: string,
  reads: readonly Form[],
  tools: readonly Tool[],
  pipelines: Contender['pipelines'],
  options: Partial<Contender> = {},
): Contender {
  return {
    name,
    maker: 'others',
    reads,
    tools,
    targets: 1,
    leaves: 'image',
    discards: false,
    pipelines,
    ...options,
  };
}

/** `unpack` with the packed image, through a pipe into dd. */
function throughPipe(name: string, form: Form, tool: Tool, unpack: Command): Contender {
  return peer(name, [form], [tool, 'dd'], ({ path, devices }) => [[[...unpack, path(form)], dd(devices[0])]]);
}

const bmaptool =
  (image: Form) =>
  ({ path, devices }: Place): readonly Pipeline[] => [
    [['bmaptool', '-q', 'copy', '--bmap', path('bmap'), path(image), devices[0] ?? '']],
  ];
const qemu =
  (...options: string[]) =>
  ({ path, devices }: Place): readonly Pipeline[] => [
    [['qemu-img', 'convert', '-n', ...options, '-f', 'qcow2', '-O', 'raw', path('qcow2'), devices[0] ?? '']],
  ];

/** A comparison with a bar on the disk, a bound for CPU time and one for memory. */
function against(
  work: string,
  ours: string,
  theirs: string,
  bar: number,
  rest: Partial<Comparison> = {},
): Comparison {
  return { work, ours, theirs, bar, barMedium: 'disk', cpuBound: null, memoryBar, ...rest };
}

const both: readonly Medium[] = ['disk', 'tmpfs'];

/** All that is measured, in the order in which it is told. */
export const groups: readonly Group[] = [
  {
    name: 'raw',
    media: both,
    contenders: [
      bty('bty', ['raw']),
      bty('bty --no-hash', ['raw'], { flags: ['--verify', 'none', '--no-hash'] }),
      peer('dd', ['raw'], ['dd'], ({ path, devices }) => [[dd(devices[0], [`if=${path('raw')}`])]]),
    ],
    comparisons: [
      against('raw, SHA-256', 'bty', 'dd', 1.25, { cpuBound: { hashed: 'raw' } }),
      against('raw, not hashed', 'bty --no-hash', 'dd', 1.1, { cpuBound: { hashed: null } }),
    ],
  },
  {
    name: 'zst',
    media: both,
    contenders: [
      bty('bty', ['zst']),
      throughPipe('zstd -dc | dd', 'zst', 'zstd', ['zstd', '-dc']),
      peer('bmaptool', ['zst', 'bmap'], ['bmaptool', 'zstd'], bmaptool('zst'), { leaves: 'mapped blocks' }),
    ],
    comparisons: [
      against('.zst, SHA-256', 'bty', 'zstd -dc | dd', 0.8, { cpuBound: { hashed: 'zst' } }),
      against('.zst, SHA-256', 'bty', 'bmaptool', 0.45),
    ],
  },
  {
    name: 'gz',
    media: both,
    contenders: [
      bty('bty', ['gz']),
      throughPipe('pigz -dc | dd', 'gz', 'pigz', ['pigz', '-dc']),
      throughPipe('igzip -dc | dd', 'gz', 'igzip', ['igzip', '-dc']),
    ],
    comparisons: [
      against('.gz, SHA-256', 'bty', 'pigz -dc | dd', 0.45, { cpuBound: { hashed: 'gz' } }),
      against('.gz, SHA-256', 'bty', 'igzip -dc | dd', 1.1, { cpuBound: { hashed: 'gz' } }),
    ],
  },
  {
    name: 'xz',
    media: both,
    contenders: [bty('bty', ['xz']), throughPipe('xz -T0 -dc | dd', 'xz', 'xz', ['xz', '-T0', '-dc'])],
    comparisons: [
      against('.xz of many blocks, SHA-256', 'bty', 'xz -T0 -dc | dd', 1.15, {
        cpuBound: { hashed: 'xz' },
        memoryBar: null,
      }),
    ],
  },
  {
    name: 'bz2',
    media: both,
    contenders: [bty('bty', ['bz2']), throughPipe('bzip2 -dc | dd', 'bz2', 'bzip2', ['bzip2', '-dc'])],
    comparisons: [against('.bz2, SHA-256', 'bty', 'bzip2 -dc | dd', 1, { cpuBound: { hashed: 'bz2' } })],
  },
  {
    name: 'qcow2',
    media: both,
    contenders: [
      bty('bty', ['qcow2'], { discards: true }),
      peer('qemu-img', ['qcow2'], ['qemu-img'], qemu(), { discards: true }),
      peer('qemu-img -t none -W -m 16', ['qcow2'], ['qemu-img'], qemu('-t', 'none', '-W', '-m', '16'), {
        discards: true,
      }),
    ],
    comparisons: [
      against('qcow2', 'bty', 'qemu-img', 0.6),
      against('qcow2', 'bty', 'qemu-img -t none -W -m 16', 1.6),
    ],
  },
  {
    name: 'bmap',
    media: both,
    contenders: [
      bty('bty --bmap', ['raw', 'bmap'], {
        flags: ['--verify', 'none', '--bmap', 'BMAP'],
        leaves: 'mapped blocks',
      }),
      peer('bmaptool copy', ['raw', 'bmap'], ['bmaptool'], bmaptool('raw'), { leaves: 'mapped blocks' }),
    ],
    comparisons: [against('raw with bmap', 'bty --bmap', 'bmaptool copy', 0.8)],
  },
  {
    name: 'verify',
    media: both,
    contenders: [
      bty('bty --verify full', ['zst'], { flags: ['--verify', 'full'] }),
      peer(
        'zstd -dc | dd, flush, cmp',
        ['zst', 'raw'],
        ['zstd', 'dd', 'cmp', 'blockdev'],
        ({ path, devices: [device = ''], imageBytes }) => [
          [['zstd', '-dc', path('zst')], dd(device)],
          [['blockdev', '--flushbufs', device]],
          [['cmp', '-n', String(imageBytes), path('raw'), device]],
        ],
      ),
    ],
    comparisons: [
      against('.zst, written and all read back', 'bty --verify full', 'zstd -dc | dd, flush, cmp', 0.5, {
        cpuBound: { hashed: 'zst' },
      }),
    ],
  },
  {
    name: 'several',
    media: ['tmpfs'],
    contenders: [
      bty('bty, one target', ['zst']),
      bty('bty, two targets', ['zst'], { targets: 2 }),
      bty('bty, four targets', ['zst'], { targets: 4 }),
    ],
    comparisons: [
      against('.zst to two targets', 'bty, two targets', 'bty, one target', 1.3, {
        barMedium: 'tmpfs',
        memoryBar: null,
      }),
      against('.zst to four targets', 'bty, four targets', 'bty, one target', 1.8, {
        barMedium: 'tmpfs',
        memoryBar: null,
      }),
    ],
  },
];

/** The group that times `bty list disks`; it takes no target and no image. */
export const listGroup = 'list';
/** The group that races the live system in virtual machines; it has an image and machines of its own. */
export const liveGroup = 'live';
/** The groups with a section of their own: those of the network side, each with its servers, and the app's window. */
export const sectionGroups = ['serve', 'registry', 'dhcp', 'tftp', 'window'] as const;
export const groupNames = [...groups.map(({ name }) => name), listGroup, liveGroup, ...sectionGroups];
