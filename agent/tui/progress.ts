/** A flash that runs, and what became of it. */
import { headline, type TargetState } from '../../shared/flash/advance.ts';
import type { Bottleneck, TargetPhase } from '../../shared/flash/event.ts';
import { doneSentence } from '../cli/flashresult.ts';
import { blank, field, heading, type Line, line, paragraph, type Sheet } from './lines.ts';
import type { Mode, State } from './state.ts';
import { bytesText, cut, timeText } from './text.ts';

/** The window's words. */
const limits: Readonly<Record<Bottleneck, string>> = {
  source: 'limited by reading the image',
  decompress: 'limited by unpacking',
  hash: 'limited by the checksum',
  disk: 'limited by the disk',
};
const phases: readonly (readonly [TargetPhase, string])[] = [
  ['clearing', 'Clearing the start'],
  ['writing', 'Writing'],
  ['flushing', 'Flushing to the disk (can take minutes)'],
  ['verifying', 'Verifying'],
  ['settling', 'Writing the start and checking it'],
];

export function progressBody(
  state: State,
  mode: Extract<Mode, { readonly kind: 'writing' }>,
  sheet: Sheet,
  rows: number,
): readonly Line[] {
  const { flash } = mode;
  const [target] = flash.targets;
  const title = `Writing ${flash.image || (state.image?.name ?? '')} to ${target?.target ?? state.disk?.path ?? ''}`;
  const lines: Line[] = [
    heading(title, '', true, sheet),
    line(cut(' DO NOT REMOVE THE DISK OR CUT THE POWER', sheet.columns), 'bad'),
    ...(rows >= 14 ? [blank] : []),
    ...bar(mode, target, sheet),
    ...(rows >= 14 ? [blank] : []),
    ...steps(mode, target, sheet),
  ];
  if (flash.notices.length > 0) lines.push(blank);
  for (const notice of flash.notices.slice(-4))
    lines.push(...paragraph(notice, sheet, 'plain', [' - ', '   ']));
  return lines;
}

function bar(
  mode: Extract<Mode, { readonly kind: 'writing' }>,
  target: TargetState | undefined,
  sheet: Sheet,
): readonly Line[] {
  const { flash, began, now } = mode;
  const counted = target && (target.phase === 'writing' || target.phase === 'verifying') ? target : null;
  const [bytes, total] = [counted?.bytes ?? 0, counted?.total ?? null];
  const share = total === null || total === 0 ? null : Math.min(1, Math.max(0, bytes / total));
  const room = Math.max(4, Math.min(60, sheet.columns - 10));
  const filled = Math.floor((share ?? 0) * room);
  const drawn = `[${'#'.repeat(filled)}${'.'.repeat(room - filled)}]`;
  const percent = share === null ? '' : ` ${Math.floor(share * 100)}%`.padStart(5);
  const since = began === null || now === null ? '' : `${timeText((now - began) / 1000)} so far`;
  const rate = counted?.rate ?? null;
  const eta = counted?.eta ?? null;
  const parts = [
    counted === null ? '' : total === null ? bytesText(bytes) : `${bytesText(bytes)} of ${bytesText(total)}`,
    rate === null ? '' : `${bytesText(rate)}/s`,
    eta === null ? '' : `${timeText(eta)} left`,
    since,
  ].filter((part) => part !== '');
  const limit =
    counted?.phase === 'writing' && flash.bottleneck !== null
      ? limits[flash.bottleneck]
      : counted?.phase === 'verifying'
        ? 'reading back what was written'
        : '';
  return [
    line(cut(` ${drawn}${percent}`, sheet.columns)),
    line(cut(`  ${parts.join(', ')}`, sheet.columns)),
    line(cut(`  ${stateWords(mode) ?? limit}`, sheet.columns)),
  ];
}

function stateWords({
  cancelling,
  skipping,
  finishing,
  flash,
}: Extract<Mode, { readonly kind: 'writing' }>): string | null {
  if (cancelling) return 'Cancelling ...';
  if (finishing !== null) return finishing;
  if (skipping && flash.targets[0]?.phase === 'verifying') return 'Ending verification ...';
  return skipping ? 'Verification will be skipped' : null;
}

/** Each phase of the disk: done, now, to come. */
function steps(
  { skipping }: Extract<Mode, { readonly kind: 'writing' }>,
  target: TargetState | undefined,
  { columns }: Sheet,
): readonly Line[] {
  const at = phases.findIndex(([phase]) => phase === target?.phase);
  const over = target?.phase === 'finished';
  return phases.map(([phase, name], index) => {
    const mark = over || index < at ? 'x' : index === at ? '>' : ' ';
    const skipped = phase === 'verifying' && skipping && mark !== 'x' ? ' (skipped)' : '';
    return line(cut(` [${mark}] ${name}${skipped}`, columns), index === at ? 'title' : 'plain');
  });
}

export function resultBody(mode: Extract<Mode, { readonly kind: 'result' }>, sheet: Sheet): readonly Line[] {
  const { flash, notes } = mode;
  const [target] = flash.targets;
  const result = target?.result ?? null;
  const title = {
    done: result?.verified ? 'Written and verified' : 'Written, not verified',
    failed: 'Not written',
    cancelled: 'Cancelled',
  };
  const lines: Line[] = [heading(title[flash.outcome ?? 'failed'], headline(flash), true, sheet)];
  if (target && result?.outcome === 'done') {
    lines.push(...paragraph(doneSentence(target.target, result), sheet, 'good'));
  } else if (result?.failure) {
    lines.push(
      ...paragraph(result.failure.message, sheet, 'bad'),
      ...paragraph(result.failure.advice, sheet),
    );
  }
  for (const note of notes) lines.push(...paragraph(note, sheet, 'plain', [' - ', '   ']));
  for (const notice of flash.notices) lines.push(...paragraph(notice, sheet, 'plain', [' - ', '   ']));
  lines.push(blank);
  if (flash.sha256 !== null) lines.push(...paragraph(`SHA-256 ${flash.sha256}`, sheet));
  for (const [phase, name] of phases) {
    const seconds = result?.seconds[phase];
    if (seconds !== undefined && (phase === 'writing' || phase === 'verifying'))
      lines.push(field(name, `${seconds.toFixed(1)} s`, sheet));
  }
  return lines;
}
