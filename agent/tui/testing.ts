/** What the tests of the terminal program share: states of every kind, and a terminal that obeys what is written to it. */
import fc from 'fast-check';
import { failure } from '../../shared/failure.ts';
import type { FlashEvent } from '../../shared/flash/event.ts';
import type { Key, KeyName } from './keys.ts';
import {
  type DiskRow,
  type Event,
  firstState,
  type ImageRow,
  type Setting,
  type Source,
  type State,
} from './state.ts';
import { step } from './step.ts';
import { width } from './text.ts';

export const setting: Setting = {
  version: '1.2.3',
  readOnly: null,
  live: false,
  folder: '/var/lib/bty/images',
  title: null,
};
export const folder: Source = { kind: 'folder', path: '/var/lib/bty/images' };

export function imageRow(name: string, more: Partial<ImageRow> = {}): ImageRow {
  const location = `/var/lib/bty/images/${name}`;
  return { name, format: 'img', storedBytes: 5e6, imageBytes: 5e6, location, sha256: null, ...more };
}

export function diskRow(path: string, more: Partial<DiskRow> = {}): DiskRow {
  return {
    path,
    size: 16e9,
    name: 'SanDisk Ultra',
    bus: 'usb',
    serial: '4C53',
    diskseq: 7,
    refusals: [],
    ...more,
  };
}

export const systemDisk = diskRow('/dev/sda', {
  name: 'Samsung SSD 980',
  bus: 'nvme',
  serial: 'S1',
  refusals: [failure('TARGET_IS_SYSTEM', { target: '/dev/sda', mounts: ['/'] }).report()],
});

export const key = (name: KeyName): Event => ({ kind: 'key', key: { kind: 'named', name } });
export const press = (text: string): Event => ({ kind: 'key', key: { kind: 'text', text } });

export function after(state: State, ...events: readonly Event[]): State {
  return events.reduce((before, event) => step(before, event).state, state);
}

/** A state with three images and three disks, of which the first runs this system. */
export function picking(more: Partial<Setting> = {}): State {
  const rows = [
    imageRow('alpine.img'),
    imageRow('debian.img.zst', { imageBytes: null }),
    imageRow('big.img', { imageBytes: 64e9 }),
  ];
  const disks = [systemDisk, diskRow('/dev/sdb'), diskRow('/dev/sdc', { serial: 'X9', size: 128e9 })];
  return after(
    firstState({ ...setting, ...more }, folder),
    { kind: 'images', source: folder, listing: { kind: 'there', rows, notes: [] } },
    { kind: 'disks', listing: { kind: 'there', rows: disks, notes: [] } },
  );
}

const names = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 90 }),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom('a.img', '日本語.img.zst', '\u001b[2J.img', 'x'.repeat(300), 'e\u0301\u202e.img', ''),
);
const bytes = fc.option(fc.maxSafeNat(), { nil: null });
const keyNames: readonly KeyName[] = [
  ...([
    'up',
    'down',
    'left',
    'right',
    'home',
    'end',
    'page-up',
    'page-down',
    'enter',
    'tab',
    'back-tab',
  ] as const),
  ...(['escape', 'backspace', 'delete', 'ctrl-c', 'ctrl-l', 'ctrl-u'] as const),
];
const keys: fc.Arbitrary<Key> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...keyNames).map((name) => ({ kind: 'named', name }) as const) },
  {
    weight: 5,
    arbitrary: fc
      .constantFrom(...'qrfRs/?123vcynP xh'.split(''))
      .map((text) => ({ kind: 'text', text }) as const),
  },
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 1 })
      .map((text) => ({ kind: 'text', text }) as const),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('position' as const), row: fc.nat(), column: fc.nat() }),
  },
);
const report = names.map((target) => failure('TARGET_READ_ONLY', { target }).report());
const images: fc.Arbitrary<ImageRow> = fc.record({
  name: names,
  format: fc.option(names, { nil: null }),
  storedBytes: bytes,
  imageBytes: bytes,
  location: names,
  sha256: fc.option(fc.constant('a'.repeat(64)), { nil: null }),
});
const disks: fc.Arbitrary<DiskRow> = fc.record({
  path: names,
  size: fc.maxSafeNat(),
  name: names,
  bus: names,
  serial: fc.option(names, { nil: null }),
  diskseq: fc.option(fc.nat(), { nil: null }),
  refusals: fc.array(report, { maxLength: 2 }),
});
const listing = <Row>(row: fc.Arbitrary<Row>) =>
  fc.record({
    kind: fc.constantFrom('there' as const, 'failed' as const, 'waiting' as const),
    rows: fc.array(row, { maxLength: 40 }),
    notes: fc.array(names, { maxLength: 2 }),
  });
const account = fc.record({ written: fc.nat(), zeroed: fc.nat(), skipped: fc.nat() });
const phase = fc.constantFrom(
  'clearing',
  'writing',
  'flushing',
  'verifying',
  'settling',
) as fc.Arbitrary<'writing'>;
const at = fc.nat();
const outcome = fc.constantFrom('done', 'failed', 'cancelled') as fc.Arbitrary<'done'>;
const flashEvents: fc.Arbitrary<FlashEvent> = fc.oneof(
  fc.record({
    kind: fc.constant('started' as const),
    at,
    image: names,
    format: names,
    storedBytes: bytes,
    imageBytes: bytes,
    targets: fc.constant([{ target: '/dev/sdb', size: 100 }]),
  }),
  fc.record({ kind: fc.constant('phase' as const), at, target: fc.constant('/dev/sdb'), phase }),
  fc.record({
    kind: fc.constant('progress' as const),
    at,
    target: fc.constant('/dev/sdb'),
    phase,
    bytes: fc.maxSafeNat(),
    total: bytes,
  }),
  fc.record({
    kind: fc.constant('source' as const),
    at,
    storedBytes: fc.nat(),
    imageBytes: fc.nat(),
    bottleneck: fc.constantFrom('source', 'decompress', 'hash', 'disk') as fc.Arbitrary<'disk'>,
  }),
  fc.record({ kind: fc.constant('notice' as const), at, target: fc.constant(null), text: names }),
  fc.record({
    kind: fc.constant('target-finished' as const),
    at,
    target: fc.constant('/dev/sdb'),
    outcome,
    verified: fc.boolean(),
    account,
    partitionsRead: fc.boolean(),
    seconds: fc.record({ writing: fc.double({ min: 0, max: 1e9, noNaN: true }) }),
    failure: fc.option(report, { nil: null }),
  }),
  fc.record({
    kind: fc.constant('finished' as const),
    at,
    outcome,
    sha256: fc.option(fc.constant('b'.repeat(64)), { nil: null }),
    storedBytes: fc.nat(),
    imageBytes: fc.nat(),
  }),
);

/** All that can happen, keys more than the rest. */
export const events: fc.Arbitrary<Event> = fc.oneof(
  { weight: 14, arbitrary: keys.map((each) => ({ kind: 'key', key: each }) as const) },
  {
    weight: 2,
    arbitrary: listing(images).map((rows) => ({ kind: 'images', source: folder, listing: rows }) as const),
  },
  { weight: 2, arbitrary: listing(disks).map((rows) => ({ kind: 'disks', listing: rows }) as const) },
  {
    weight: 3,
    arbitrary: fc
      .record({
        image: names,
        format: names,
        storedBytes: bytes,
        imageBytes: bytes,
        sha256: fc.option(names, { nil: null }),
        notes: fc.array(names, { maxLength: 9 }),
        refusals: fc.array(report, { maxLength: 2 }),
      })
      .map((review) => ({ kind: 'probed', review }) as const),
  },
  { weight: 1, arbitrary: report.map((found) => ({ kind: 'not-probed', failure: found }) as const) },
  { weight: 3, arbitrary: fc.constant({ kind: 'armed' } as const) },
  { weight: 6, arbitrary: flashEvents.map((event) => ({ kind: 'flash', event }) as const) },
  { weight: 2, arbitrary: fc.nat().map((now) => ({ kind: 'clock', now }) as const) },
  { weight: 1, arbitrary: names.map((text) => ({ kind: 'finishing', text }) as const) },
  {
    weight: 1,
    arbitrary: fc
      .record({ notes: fc.array(names, { maxLength: 3 }), failure: fc.option(report, { nil: null }) })
      .map((end) => ({ kind: 'ended', ...end }) as const),
  },
  { weight: 1, arbitrary: fc.nat(5).map((count) => ({ kind: 'message-over', count }) as const) },
  { weight: 1, arbitrary: names.map((problem) => ({ kind: 'not-rebooted', problem }) as const) },
);

const sequence = new RegExp(`^${String.fromCharCode(27)}\\[([0-9;]*)([A-Za-z])`);

/** A terminal of so many columns and rows, without wrapping; what it does not know makes it throw. */
export class Screen {
  readonly rows: string[][];
  readonly #columns: number;
  #row = 0;
  #column = 0;

  constructor(columns: number, rows: number) {
    this.#columns = columns;
    this.rows = Array.from({ length: rows }, () => Array.from({ length: columns }, () => '~'));
  }

  write(text: string): void {
    for (let rest = text; rest !== ''; ) {
      const found = sequence.exec(rest);
      if (found) {
        this.#obey(found[1] ?? '', found[2] ?? '');
        rest = rest.slice(found[0].length);
      } else {
        const character = String.fromCodePoint(rest.codePointAt(0) ?? 0);
        this.#put(character);
        rest = rest.slice(character.length);
      }
    }
  }

  get text(): readonly string[] {
    return this.rows.map((row) => row.join('').trimEnd());
  }

  #put(character: string): void {
    if (/[\p{Cc}\p{Cf}\p{Cs}]/u.test(character))
      throw new Error(`a control character: ${JSON.stringify(character)}`);
    const columns = width(character);
    if (this.#column + columns > this.#columns || this.#row >= this.rows.length)
      throw new Error(
        `${JSON.stringify(character)} at row ${this.#row}, column ${this.#column} is off the screen`,
      );
    const row = this.rows[this.#row] ?? [];
    row[this.#column] = character;
    if (columns === 2) row[this.#column + 1] = '';
    this.#column += columns;
  }

  #obey(parameters: string, final: string): void {
    const [first = '', second = ''] = parameters.split(';');
    if (final === 'H') [this.#row, this.#column] = [Number(first || 1) - 1, Number(second || 1) - 1];
    else if (final === 'J') for (const row of this.rows) row.fill(' ');
    else if (final === 'K') this.rows[this.#row]?.fill(' ', this.#column);
    else if (final !== 'm') throw new Error(`unknown sequence ESC [ ${parameters} ${final}`);
  }
}
