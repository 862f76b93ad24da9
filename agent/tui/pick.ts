/** The panes of images and disks, and the review of both. */
import { redacted } from '../../shared/address.ts';
import type { FailureReport } from '../../shared/failure.ts';
import { blank, field, heading, type Line, line, paragraph, type Sheet } from './lines.ts';
import { problemsOf } from './problems.ts';
import { type DiskRow, filtered, type ImageRow, type Review, type State, sourceText } from './state.ts';
import { bytesText, cut, fit, shown, squeeze, tail } from './text.ts';

/** The three panes; where they do not fit, the one that the keys go to. */
export function pickBody(state: State, sheet: Sheet, rows: number): readonly Line[] {
  const write = writePane(state, sheet);
  if (rows < 13) {
    if (state.focus === 'images') return imagePane(state, sheet, rows);
    return state.focus === 'disks' ? diskPane(state, sheet, rows) : write;
  }
  const room = rows - write.length;
  const wanted = Math.max(3, Math.min(state.disks.rows.length + 4, Math.floor(room / 2)));
  const disks = diskPane(state, sheet, wanted);
  return [...imagePane(state, sheet, room - disks.length), ...disks, ...write];
}

/** `rows` around the one at `at`, and the index of the first. */
function around<Row>(
  rows: readonly Row[],
  at: number,
  room: number,
): { from: number; shown: readonly Row[] } {
  const from = Math.max(0, Math.min(at - Math.floor(room / 2), rows.length - room));
  return { from, shown: rows.slice(from, from + Math.max(0, room)) };
}

/** The cursor, and the mark of what was picked: they must be told apart without colour. */
const marks = (isCursor: boolean, isPicked: boolean): string =>
  `${isCursor ? '>' : ' '}${isPicked ? '*' : ' '} `;

function imagePane(state: State, sheet: Sheet, rows: number): readonly Line[] {
  const images = filtered(state);
  const total = state.images.rows.length;
  const focused = state.focus === 'images';
  const count = state.filter === '' ? `${total}` : `${images.length} of ${total}`;
  const from = state.images.kind === 'waiting' ? 'looking ...' : count;
  const title = heading(`1 Image from ${sourceText(state.source)}`, from, focused, sheet);
  const typing = state.mode.kind === 'filter';
  const filter =
    typing || state.filter !== ''
      ? [
          line(
            cut(
              ` Filter: ${tail(shown(state.filter, sheet.charset), sheet.columns - 11)}${typing ? '_' : ''}`,
              sheet.columns,
            ),
            typing ? 'chosen' : 'plain',
          ),
        ]
      : [];
  const lead = [title, ...filter];
  if (images.length === 0) return padded([...lead, ...nothing(state, sheet)], rows);
  const headed =
    rows - lead.length > 3 ? [...lead, imageLine('   ', 'NAME', 'FORMAT', 'SIZE', sheet, 'quiet')] : lead;
  const { from: first, shown: visibleRows } = around(images, state.imageAt, rows - headed.length);
  const lines = visibleRows.map((image, index) => {
    const isCursor = first + index === state.imageAt;
    const isPicked = state.image?.location === image.location;
    const size = image.storedBytes === null ? '?' : bytesText(image.storedBytes);
    const style = isCursor && focused ? 'chosen' : 'plain';
    return imageLine(marks(isCursor, isPicked), image.name, image.format ?? '?', size, sheet, style);
  });
  return padded([...headed, ...lines], rows);
}

function imageLine(
  lead: string,
  name: string,
  format: string,
  size: string,
  { columns, charset }: Sheet,
  style: Line['style'],
): Line {
  const right =
    columns < 44 ? fit(size, 8, 'right') : `${fit(shown(format, charset), 9)} ${fit(size, 9, 'right')}`;
  const room = columns - lead.length - right.length - 1;
  if (room < 6) return line(cut(lead + shown(name, charset), columns), style);
  return line(`${lead}${fit(squeeze(shown(name, charset), room), room)} ${right}`, style);
}

function nothing(state: State, sheet: Sheet): readonly Line[] {
  if (state.images.kind === 'waiting') return paragraph('Looking for images ...', sheet);
  if (state.filter !== '' && state.images.rows.length > 0)
    return paragraph(`No name holds "${state.filter}". Esc takes the filter away.`, sheet);
  const advice =
    state.source.kind === 'folder'
      ? 'Put images (.img, .img.zst, .img.xz, .img.gz, .qcow2) or .bri descriptors there and press r, or press s for a server.'
      : 'Upload one to the server, or press s for another source.';
  const what = state.images.kind === 'failed' ? 'The images cannot be listed.' : 'There is no image here.';
  return paragraph(`${what} ${advice}`, sheet);
}

const diskNotes: Readonly<Partial<Record<FailureReport['code'], string>>> = {
  TARGET_IS_SYSTEM: 'system',
  TARGET_MOUNTED: 'mounted',
  TARGET_SWAP: 'swap',
  TARGET_HELD: 'in use',
  TARGET_READ_ONLY: 'read-only',
  TARGET_NO_MEDIUM: 'no medium',
  TARGET_TOO_SMALL: 'too small',
};

function diskPane(state: State, sheet: Sheet, rows: number): readonly Line[] {
  const disks = state.disks.rows;
  const focused = state.focus === 'disks';
  const usable = disks.filter((disk) => problemsOf(disk, state.image).length === 0).length;
  const count =
    state.disks.kind === 'waiting' ? 'looking ...' : `${usable} of ${disks.length} can be written`;
  const title = heading('2 Disk to write it to', count, focused, sheet);
  if (disks.length === 0) {
    const why =
      state.disks.kind === 'waiting'
        ? 'Looking for disks ...'
        : 'No disk to write to. Plug one in: it shows up here by itself.';
    return padded([title, ...paragraph(state.disks.notes[0] ?? why, sheet)], rows);
  }
  const disk = disks[state.diskAt];
  const reasons = disk && focused ? problemsOf(disk, state.image) : [];
  const [reason] = reasons;
  const told = reason ? paragraph(`${reason.message} ${reason.advice}`, sheet, 'bad', [' ! ', '   ']) : [];
  const why = told.slice(0, Math.max(0, Math.min(2, rows - 3)));
  const head = rows - why.length > 3 ? [title, diskLine('   ', titles, sheet, 'quiet')] : [title];
  const { from, shown: visibleRows } = around(disks, state.diskAt, rows - head.length - why.length);
  const lines = visibleRows.map((each, index) => {
    const isCursor = from + index === state.diskAt;
    const style = isCursor && focused ? 'chosen' : 'plain';
    const problem = problemsOf(each, state.image)[0];
    const note = problem === undefined ? '' : (diskNotes[problem.code] ?? 'unusable');
    const { path, name, bus, serial } = each;
    const cells = { path, size: bytesText(each.size), bus, name, serial: serial ?? '', note };
    return diskLine(marks(isCursor, state.disk?.path === path), cells, sheet, style);
  });
  return padded([...head, ...lines, ...why], rows);
}

interface DiskCells {
  readonly path: string;
  readonly size: string;
  readonly bus: string;
  readonly name: string;
  readonly serial: string;
  readonly note: string;
}

const titles: DiskCells = {
  path: 'PATH',
  size: 'SIZE',
  bus: 'BUS',
  name: 'MODEL',
  serial: 'SERIAL',
  note: 'USE',
};

function diskLine(lead: string, cells: DiskCells, { columns, charset }: Sheet, style: Line['style']): Line {
  const cell = (text: string, room: number) => fit(squeeze(shown(text, charset), room), room);
  const size = fit(cells.size, 8, 'right');
  const note = cell(cells.note, 9);
  if (columns < 30)
    return line(cut(`${lead}${cell(cells.path, Math.max(4, columns - 12))} ${size}`, columns), style);
  if (columns < 36)
    return line(cut(`${lead}${cell(cells.path, Math.max(4, columns - 22))} ${size} ${note}`, columns), style);
  const begin = `${lead}${cell(cells.path, 13)} ${size}  `;
  if (columns < 56) return line(cut(`${begin}${note}`, columns), style);
  const bus = `${cell(cells.bus, 6)} `;
  const room = columns - begin.length - bus.length - note.length - 2;
  if (columns < 72) return line(cut(`${begin}${bus}${cell(cells.name, room)} ${note}`, columns), style);
  const serial = Math.min(20, Math.floor(room / 2));
  const name = room - serial - 1;
  return line(
    cut(`${begin}${bus}${cell(cells.name, name)} ${cell(cells.serial, serial)} ${note}`, columns),
    style,
  );
}

function writePane(state: State, sheet: Sheet): readonly Line[] {
  const { image, disk, focus } = state;
  const focused = focus === 'write';
  const title = heading('3 Write', '', focused, sheet);
  const sentence =
    image === null
      ? 'Pick an image to begin.'
      : disk === null
        ? `${image.name} is picked. Now pick the disk to write it to.`
        : writeSentence(image.name, image.imageBytes ?? image.storedBytes, disk);
  const ready = image !== null && disk !== null && state.setting.readOnly === null;
  const button = line(cut(`${marks(focused, false)}[ Flash! ]`, sheet.columns), focused ? 'chosen' : 'plain');
  return [title, ...paragraph(sentence, sheet), ...(ready ? [button] : [])];
}

/** The window's sentence: `Write a.img (2.0 GB) to /dev/sdb (...). Everything on it will be lost.` */
function writeSentence(image: string, bytes: number | null, disk: DiskRow): string {
  const size = bytes === null ? 'size unknown' : bytesText(bytes);
  return `Write ${image} (${size}) to ${diskText(disk)}. Everything on it will be lost.`;
}

/** `/dev/sdb (SanDisk Ultra, 32.0 GB, usb, serial 4C53)`. */
export function diskText({ path, name, size, bus, serial }: DiskRow): string {
  const parts = [name, bytesText(size), bus, serial === null ? 'no serial number' : `serial ${serial}`];
  return `${path} (${parts.filter((part) => part !== '').join(', ')})`;
}

export function reviewBody(state: State, review: Review, sheet: Sheet, rows: number): readonly Line[] {
  const { disk, image } = state;
  const refused = review.refusals.length > 0;
  const size = review.imageBytes ?? review.storedBytes;
  const lines: Line[] = [
    heading(refused ? 'It cannot be written' : 'Write it?', '', true, sheet),
    ...(disk ? paragraph(writeSentence(review.image, size, disk), sheet) : []),
  ];
  for (const { message, advice } of review.refusals)
    lines.push(...paragraph(`${message} ${advice}`, sheet, 'bad', [' ! ', '   ']));
  const button = line(cut('>  [ Write now ]', sheet.columns), 'chosen');
  const bottom = refused || state.setting.readOnly !== null ? [] : [button];
  lines.push(blank, ...reviewFields(review, image, state.verify, sheet));
  if (review.notes.length > 0) lines.push(blank);
  for (const note of review.notes) lines.push(...paragraph(note, sheet, 'plain', [' - ', '   ']));
  const room = rows - bottom.length;
  return [...padded(lines.slice(0, Math.max(1, room)), room), ...bottom];
}

function reviewFields(
  review: Review,
  image: ImageRow | null,
  verify: boolean,
  sheet: Sheet,
): readonly Line[] {
  const { sha256 } = review;
  return [
    ...(image ? [field('From', redacted(image.location), sheet)] : []),
    field('Format', review.format, sheet),
    field('Stored size', review.storedBytes === null ? 'unknown' : bytesText(review.storedBytes), sheet),
    field(
      'Unpacked',
      review.imageBytes === null ? 'unknown until unpacked' : bytesText(review.imageBytes),
      sheet,
    ),
    field('SHA-256', sha256 === null ? 'none is known to compare with' : `must be ${sha256}`, sheet),
    field('Verification', verify ? 'full (all of the image is read back)' : 'none', sheet),
  ];
}

function padded(lines: readonly Line[], rows: number): readonly Line[] {
  return [
    ...lines.slice(0, Math.max(0, rows)),
    ...Array.from({ length: Math.max(0, rows - lines.length) }, () => blank),
  ];
}
