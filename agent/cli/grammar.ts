/**
 * The commands of `bty` and what each takes: the one table from which parsing, `--help`, usage lines and
 * docs/cli.md come. Keys of options are written in camel case here and with dashes on the command line.
 */

interface Named {
  readonly help: string;
}
/** An option that is there or not. */
export interface FlagOption extends Named {
  readonly kind: 'flag';
}
/** An option with a value: free text, a count of bytes, or a SHA-256 in hexadecimal digits. */
export interface ValueOption extends Named {
  readonly kind: 'text' | 'bytes' | 'sha256';
  readonly metavar: string;
  /** One letter, given with a single dash. */
  readonly short?: string;
  readonly required?: true;
  readonly repeatable?: true;
  /** How the help names what is used without it. */
  readonly otherwise?: string;
}
/** An option with one of a few values. */
export interface ChoiceOption extends Named {
  readonly kind: 'choice';
  readonly choices: readonly string[];
  readonly default: string;
}
export type OptionSpec = FlagOption | ValueOption | ChoiceOption;

export interface PositionalSpec extends Named {
  readonly metavar: string;
  readonly required?: true;
}

export interface CommandSpec {
  readonly summary: string;
  /** Left out of lists of commands: a program uses it, not a person. */
  readonly hidden?: true;
  /** Paragraphs under the summary in the help. */
  readonly description?: readonly string[];
  readonly positionals: Readonly<Record<string, PositionalSpec>>;
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Sets of options of which at least one must be given; `hint` says so. */
  readonly anyOf?: readonly { readonly options: readonly string[]; readonly hint: string }[];
  /** Pairs that exclude one another. */
  readonly conflicts?: readonly (readonly [string, string])[];
  readonly examples?: readonly string[];
}

const json = { kind: 'flag', help: 'Print the result as JSON.' } as const;

const manifest = {
  kind: 'text',
  metavar: 'PATH',
  help: 'The catalog to use.',
  otherwise: '$BTY_CATALOG_FILE, or catalog.toml in $BTY_STATE_DIR (/var/lib/bty)',
} as const;

const inspect = {
  summary: 'Show what an image is: format, size, partitions, file systems.',
  description: [
    'The format is recognised by content first and by name second; a disagreement is told. A packed image is ' +
      'unpacked as far as its partition table reaches.',
  ],
  positionals: {
    path: { metavar: 'PATH', required: true, help: 'An image file, a .bri descriptor, or a URL.' },
  },
  options: {
    checksum: { kind: 'flag', help: 'Also compute the SHA-256 of the stored bytes.' },
    json,
  },
  examples: ['bty inspect image debian.img.zst', 'bty image info --checksum --json debian.qcow2'],
} as const satisfies CommandSpec;

export const commands = {
  'list disks': {
    summary: 'List the disks of this machine.',
    positionals: {},
    options: {
      all: { kind: 'flag', help: 'Also list loop devices.' },
      json,
    },
    examples: ['bty list disks', 'bty list disks --json'],
  },
  'list images': {
    summary: 'List the images in a directory.',
    description: [
      'Lists image files and .bri descriptors of the directory itself, in the order of their names. Symbolic ' +
        'links and names that announce no image are left out. A digest is shown where a NAME.sha256 file ' +
        'beside the image states it.',
    ],
    positionals: {},
    options: {
      imageRoot: {
        kind: 'text',
        metavar: 'DIR',
        help: 'The directory to list.',
        otherwise: '$BTY_IMAGE_ROOT, or /var/lib/bty/images',
      },
      json,
    },
    examples: ['bty list images --image-root ~/images'],
  },
  'inspect image': inspect,
  'image info': { ...inspect, summary: 'The same as "bty inspect image".' },
  flash: {
    summary: 'Write an image onto one or more disks, and prove what was written.',
    description: [
      'Everything on the disks is lost. --dry-run shows the plan and its faults and writes nothing; --yes runs ' +
        'it. Given both, --dry-run wins. bty never asks a question.',
      'Until the last moment the disk has no valid start: a flash that is cancelled or fails leaves a disk that ' +
        'looks blank, not one that boots halfway.',
      'The signal SIGUSR2 skips the rest of the verification: the result is then "written, not verified".',
    ],
    positionals: {},
    options: {
      image: {
        kind: 'text',
        metavar: 'SRC',
        required: true,
        help: 'The image: a path, "-" (standard input), a URL (http, https), a .bri file, or a name in the catalog.',
      },
      target: {
        kind: 'text',
        metavar: 'DEV',
        repeatable: true,
        help: 'The disk to write, for example /dev/sdb. Repeat it to write several disks at once.',
      },
      virtualDisk: {
        kind: 'text',
        metavar: 'FILE',
        repeatable: true,
        help: 'An existing regular file to write as if it were a disk. May be repeated.',
      },
      allowLoop: { kind: 'flag', help: 'Accept loop devices as targets.' },
      dryRun: { kind: 'flag', help: 'Show the plan and check it, write nothing.' },
      yes: { kind: 'flag', help: 'Write. Everything on the disks is lost.' },
      progress: {
        kind: 'choice',
        choices: ['text', 'ndjson', 'none'],
        default: 'text',
        help: 'How progress is told: text on standard error; ndjson, one JSON object a line and nothing else on standard output; none.',
      },
      json: { kind: 'flag', help: 'Print the plan (--dry-run) or the result as JSON.' },
      verify: {
        kind: 'choice',
        choices: ['full', 'written', 'none'],
        default: 'full',
        help: 'What is read back from the disk and compared: the full image, only the ranges that were written, or nothing.',
      },
      sha256: {
        kind: 'sha256',
        metavar: 'HEX',
        help: 'SHA-256 that the stored (packed) bytes of the image must have; a mismatch fails the flash.',
      },
      noHash: { kind: 'flag', help: 'Do not compute the SHA-256 of the stored bytes.' },
      bmap: {
        kind: 'text',
        metavar: 'FILE|auto',
        help: 'Write only the blocks that this block map names; auto takes the one beside the image.',
      },
      sparse: {
        kind: 'flag',
        help: 'Do not transfer zeros to ranges that the disk was first made to read as zeros.',
      },
      allowCut: {
        kind: 'flag',
        help: 'Write an image even though its own partition table says that its end is missing.',
      },
      expectSerial: {
        kind: 'text',
        metavar: 'S',
        help: 'Refuse the target unless this is its serial number.',
      },
      expectSize: {
        kind: 'bytes',
        metavar: 'N',
        help: 'Refuse the target unless it holds exactly N bytes.',
      },
      catalog: {
        kind: 'text',
        metavar: 'PATH|URL',
        help: 'The catalog in which a name given as --image is looked up.',
        otherwise: '$BTY_CATALOG_FILE, or catalog.toml in $BTY_STATE_DIR (/var/lib/bty)',
      },
    },
    anyOf: [
      {
        options: ['target', 'virtualDisk'],
        hint: 'Name at least one --target DEV (or --virtual-disk FILE).',
      },
      {
        options: ['dryRun', 'yes'],
        hint: 'Nothing was written: add --dry-run to see the plan, or --yes to write.',
      },
    ],
    conflicts: [['sha256', 'noHash']],
    examples: [
      'bty flash --image debian.img.zst --target /dev/sdb --dry-run',
      'sudo bty flash --image debian.img.zst --target /dev/sdb --yes',
      'curl -fsS URL | sudo bty flash --image - --target /dev/sdb --target /dev/sdc --yes',
      'bty flash --image debian.qcow2 --virtual-disk disk.raw --yes --progress ndjson',
    ],
  },
  tui: {
    summary: 'Pick image and disk on a screen of text, and write. Also called bty-tui.',
    description: [
      'Works in a terminal of 80 columns and 24 rows, on a serial console too. The last line names the keys; "?" lists ' +
        'all of them. Without root it shows everything and writes nothing.',
    ],
    positionals: {},
    options: {
      server: {
        kind: 'text',
        metavar: 'URL',
        help: 'Take the images from this bty-web (http or https) instead of a directory.',
      },
      mac: {
        kind: 'text',
        metavar: 'MAC',
        help: 'With --server: the machine of this address was flashed when an image of the server was written.',
      },
      imageRoot: {
        kind: 'text',
        metavar: 'DIR',
        help: 'The directory with the images. Ignored with --server.',
        otherwise: '$BTY_IMAGE_ROOT, or /var/lib/bty/images',
      },
      plain: { kind: 'flag', help: 'Use neither colour, bold nor reverse, and only ASCII.' },
      allowLoop: { kind: 'flag', help: 'Show loop devices too, and write to them.' },
    },
    examples: ['sudo bty-tui', 'sudo bty-tui --server http://10.0.0.1:8080 --mac 52:54:00:12:34:56'],
  },
  'tui-guard': {
    summary: 'Give the terminal back when bty-tui was killed, which starts this.',
    hidden: true,
    description: [
      'Waits for the end of standard input; unless a word of farewell came, it resets the terminal.',
    ],
    positionals: {
      modes: {
        metavar: 'MODES',
        required: true,
        help: 'The modes of the terminal, as "stty -g" writes them.',
      },
    },
    options: {},
  },
  'catalog validate': {
    summary: 'Check a catalog and name its first fault.',
    positionals: {
      path: { metavar: 'PATH', help: `The catalog. Without it: ${manifest.otherwise}.` },
    },
    options: { json },
    examples: ['bty catalog validate ./catalog.toml'],
  },
  'catalog list': {
    summary: 'List the images of a catalog, and which of them are cached.',
    positionals: {},
    options: { manifest, json },
    examples: ['bty catalog list --json'],
  },
  'catalog fetch': {
    summary: 'Download an image of a catalog into the cache, checking its SHA-256.',
    description: ['Does nothing when the image is cached already.'],
    positionals: { name: { metavar: 'NAME', required: true, help: 'The name of the image in the catalog.' } },
    options: { manifest, json },
    examples: ['bty catalog fetch debian-13'],
  },
  'bmap create': {
    summary: 'Create a block map (bmap 2.0) of an image.',
    description: [
      'The map names the blocks that hold data and their checksums, so that a flash transfers nothing else.',
    ],
    positionals: { image: { metavar: 'IMAGE', required: true, help: 'A raw image file.' } },
    options: {
      output: {
        kind: 'text',
        metavar: 'FILE',
        short: 'o',
        help: 'Where to put the block map.',
        otherwise: 'standard output',
      },
      json,
    },
    examples: ['bty bmap create -o disk.img.bmap disk.img'],
  },
  helper: {
    summary: 'Write disks for the desktop app, which starts this through pkexec.',
    hidden: true,
    description: [
      'Speaks JSON lines on standard input and output (docs/helper.md), takes one job and exits. It opens the disks ' +
        'of the job as root and becomes the asking user before it opens the image.',
    ],
    positionals: {
      part: { metavar: 'PART', help: 'This and the following words are for the helper itself.' },
      lines: { metavar: 'LINES', help: 'A descriptor.' },
      disks: { metavar: 'DISKS', help: 'A descriptor.' },
      user: { metavar: 'USER', help: 'A user id.' },
    },
    options: {},
  },
  agent: {
    summary: "Do what this machine's appliance has planned for it.",
    hidden: true,
    description: [
      'This is what runs in the live system that a machine boots from the network: it tells the appliance what ' +
        'this machine is, asks for a plan, and follows it. It talks to the appliance alone and listens nowhere.',
      'Without --live it neither reboots this machine nor sets its clock: it tells what it would do and ends.',
    ],
    positionals: {},
    options: {
      live: {
        kind: 'flag',
        help: 'This machine runs the live system: use its consoles, set its clock, reboot it in the end.',
      },
      commandLine: {
        kind: 'text',
        metavar: 'FILE',
        help: 'Where the words bty.server and bty.mac stand.',
        otherwise: '/proc/cmdline',
      },
      ticket: {
        kind: 'text',
        metavar: 'FILE',
        help: "Where this boot's token lies.",
        otherwise: '/etc/bty/ticket.json',
      },
      allowLoop: { kind: 'flag', help: 'Count loop devices among the disks of this machine.' },
    },
    examples: ['bty agent --live'],
  },
} as const satisfies Readonly<Record<string, CommandSpec>>;

export type CommandPath = keyof typeof commands;
export const commandPaths = Object.keys(commands) as readonly CommandPath[];
export const commandSpec = (path: CommandPath): CommandSpec => commands[path];

/** What the first word of a command of two words stands for. */
export const groups: Readonly<Record<string, string>> = {
  list: 'List disks or images.',
  inspect: 'Look into an image.',
  image: 'Look into an image.',
  catalog: 'Work with a catalog of images.',
  bmap: 'Work with block maps.',
};

type ValueOf<Option> = Option extends { readonly kind: 'flag' }
  ? boolean
  : Option extends { readonly kind: 'choice'; readonly choices: readonly (infer Choice)[] }
    ? Choice
    : Option extends { readonly repeatable: true }
      ? readonly string[]
      : (Option extends { readonly kind: 'bytes' } ? number : string) | Missing<Option>;
type Missing<Spec> = Spec extends { readonly required: true } ? never : undefined;

/** Values of a command's options and positionals, under their keys in the table. */
export type Values<Path extends CommandPath> = {
  readonly [Key in keyof (typeof commands)[Path]['options']]: ValueOf<
    (typeof commands)[Path]['options'][Key]
  >;
} & {
  readonly [Key in keyof (typeof commands)[Path]['positionals']]:
    | string
    | Missing<(typeof commands)[Path]['positionals'][Key]>;
};

/** The option `key` as it is written on the command line, for example `--image-root`. */
export const flagOf = (key: string): string =>
  `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Variables of the environment that the commands read. */
export const environment: Readonly<Record<string, string>> = {
  BTY_IMAGE_ROOT:
    'The directory that "bty list images" lists and "bty-tui" shows. Default: /var/lib/bty/images.',
  BTY_STATE_DIR: 'Where bty keeps catalog.toml and its cache. Default: /var/lib/bty.',
  BTY_CATALOG_FILE: 'The catalog to use. Default: catalog.toml in the state directory.',
  BTY_CATALOG_CACHE_DIR: 'Where fetched images are kept. Default: cache in the state directory.',
  BTY_SOURCE_ATTEMPTS:
    "How often a lost connection to an image's server is tried again without a byte gained. Default: 8.",
  BTY_DEBUG: '1 prints the stack of an unexpected fault.',
};
