import type { CommandPath } from './grammar.ts';

/** Keys of a command's JSON result after `schema_version` and `command`, for documentation. */
interface ResultText {
  /** Value of `command`. */
  readonly command: string;
  readonly keys: Readonly<Record<string, string>>;
}

const inspected: ResultText = {
  command: 'inspect-image',
  keys: {
    'image.path': 'As given.',
    'image.format':
      'Wire name of the format: `img`, `qcow2`, either with `.gz`, `.bz2`, `.xz`, `.zst`, `.lz4` or `.zip`; `bri` for a descriptor; null for what is no image.',
    'image.size_bytes': 'Stored bytes; null when unknown.',
    'image.detail':
      'For an image: `packing`, `layout`, `virtual_size_bytes` (what a flash writes, null when unknown), `virtual_size_exact`, `virtual_size_at_least_bytes`, `entry` (name inside a zip), `partition_table`, `sha256` (with --checksum), `notes`. For a descriptor: its fields.',
    'image.detail.partition_table':
      '`scheme` (`gpt`, `mbr`, `none`), `id`, `sector_size`, `hybrid`, `isohybrid`, `complete`, `filesystem`, `problems`, and `partitions`: `number`, `start_bytes`, `size_bytes`, `type`, `type_name`, `name`, `uuid`, `bootable`, `filesystem` (`kind`, `label`, `uuid`).',
    'image.detail_error':
      'Why it cannot be flashed; `detail_code` and `detail_advice` stand beside it. Absent for a sound image.',
  },
};

/** None for commands that print no JSON. */
export const results: Readonly<Partial<Record<CommandPath, ResultText>>> = {
  'list disks': {
    command: 'list-disks',
    keys: {
      'disks[]':
        '`path`, `size` (as lsblk(8) prints it), `type`, `vendor`, `model`, `serial`, `tran`, `removable`, `readonly`, `mountpoints` (of the disk itself), then `size_bytes`, `diskseq`, `logical_block_size`, `physical_block_size`, `rotational`, `backing_file`, `wwn`, `fstype` and `label` (of a file system without partitions), `system`, `in_use`, `used_by`.',
      'disks[].partitions[]':
        '`path`, `size_bytes`, `fstype`, `label`, `partlabel`, `mountpoints`, `used_bytes` (of a mounted file system).',
      'disks[].refusals[]':
        'Why a flash onto it would be refused now: `code`, `message`, `advice`, `details`.',
    },
  },
  'list images': {
    command: 'list-images',
    keys: {
      image_root: 'The directory.',
      'images[]':
        'Files (`source` is `local`): `name`, `path`, `format`, `size_bytes`, `sha256` (from NAME.sha256), `source`. After them descriptors (`remote`): `name`, `format`, `size_bytes`, `source`, `url`, `path`, `sha256`, `description`.',
    },
  },
  'inspect image': inspected,
  'image info': inspected,
  flash: {
    command: 'flash',
    keys: {
      dry_run: 'True with --dry-run: then `plan`, `errors` (sentences) and `ok` follow.',
      plan: '`image` (`path`, `url`, `format`, `size_bytes`, `virtual_size_bytes`), `target` (`path`, `exists`, `is_block_device`, `size_bytes`, `mountpoints`), `notes`, `targets` (all of them), and what the run would do.',
      ok: 'Whether every disk was flashed, or could be.',
      'outcome, headline': 'The worst outcome (`done`, `failed`, `cancelled`), and the result in words.',
      verified: 'True when everything that was to be verified was read back and matched.',
      sha256: 'SHA-256 of the stored bytes; null when it was not computed.',
      'targets[]':
        '`path`, `size_bytes`, `outcome`, `verified`, `bytes_written`, `bytes_zeroed`, `bytes_skipped`, `seconds` (of each phase), `failure`.',
    },
  },
  'catalog validate': {
    command: 'catalog-validate',
    keys: {
      'path, valid': 'The catalog, and whether it is one.',
      count: 'Number of images, where it is valid.',
      'error, advice, code': 'What is wrong, where it is not.',
    },
  },
  'catalog list': {
    command: 'catalog-list',
    keys: {
      'manifest, cache_dir': 'The catalog, and where fetched images are kept.',
      'entries[]': '`name`, `src`, `sha256`, `format`, `size_bytes`, `description`, `cached`.',
    },
  },
  'catalog fetch': {
    command: 'catalog-fetch',
    keys: {
      'name, sha256, cached_path': 'The image, and where it lies now.',
      fetched: 'False when it was cached already.',
    },
  },
  'bmap create': {
    command: 'bmap-create',
    keys: {
      'image, path': 'The image, and where the block map was put; null without --output.',
      bmap: 'The block map itself; null with --output.',
      'image_size_bytes, mapped_bytes, block_size': 'Sizes in bytes.',
      ranges: 'Number of ranges.',
    },
  },
};

/** Events of `bty flash --progress ndjson`, by the value of `event`. */
export const progressEvents: Readonly<Record<string, string>> = {
  started: 'The run begins: `targets`, and `total_bytes` where it is known.',
  clearing: 'The start and the end of `target` are being zeroed.',
  writing: 'Data goes to `target`; `note` is the format.',
  writing_progress:
    'About once a second for each disk: `target`, `bytes_written`, `total_bytes`, `bytes_per_second`, `eta_seconds`, `bottleneck` (`source`, `decompress`, `hash`, `disk`).',
  flushing: 'What was written is being forced onto the medium of `target`.',
  verifying: '`target` is being read back.',
  verifying_progress: 'As `writing_progress`, with `bytes_verified`.',
  notice: 'Something worth knowing, in `note`.',
  synced: 'Everything is on the medium of `target`.',
  partprobed: 'The system has read the new partition table of `target`.',
  done: '`target` is done: `bytes_written`, `bytes_zeroed`, `bytes_skipped`, `verified`.',
  failed: '`target` failed: `note`, `code`, `advice`, `details`, and the bytes as in `done`.',
  cancelled: 'As `failed`, for a run that was cancelled.',
  summary:
    'The last event: `outcome`, `note` (in words), `sha256`, `stored_bytes`, `image_bytes`, `targets`.',
};
