// biome-ignore-all lint/a11y/useSemanticElements: rows of a real table cannot stand where the scrolling wants them
// biome-ignore-all lint/a11y/useFocusableInteractive: what can be focused in a row is its link and its box

import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, type ReactNode, useCallback, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import type { ImageEntry } from '../../../shared/contract/image.ts';
import type { Machine } from '../../../shared/contract/machine.ts';
import type { Column, MachineView } from '../../../shared/lab/machines.ts';
import { shownText } from '../../../shared/lab/shown.ts';
import { DownIcon } from '../icons.tsx';
import { BulkBar } from './BulkBar.tsx';
import { UpIcon } from './icons.tsx';
import { imageName } from './images.ts';
import { Phase } from './parts/Phase.tsx';
import { Time } from './parts/Time.tsx';
import { useNarrow } from './useNarrow.ts';

interface Props {
  readonly rows: readonly Machine[];
  readonly view: MachineView;
  readonly setView: (view: MachineView) => void;
  readonly images: readonly ImageEntry[] | undefined;
  readonly selected: ReadonlySet<string>;
  readonly setSelected: (selected: ReadonlySet<string>) => void;
  readonly selectable: boolean;
}

const columns: readonly Column[] = [
  'mac',
  'hostname',
  'phase',
  'image',
  'policy',
  'address',
  'seen',
  'flashed',
];
/** Heights of a row in pixels; the same as in the styles. */
const heights = { wide: 44, narrow: 76 } as const;

/** The machines in a table of which only what is seen exists, so that it may be long. */
export function MachineTable({ rows, view, setView, images, selected, setSelected, selectable }: Props) {
  const { t } = useTranslation();
  const narrow = useNarrow();
  const scroller = useRef<HTMLDivElement>(null);
  const height = narrow ? heights.narrow : heights.wide;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    getItemKey: (index) => rows[index]?.mac ?? index,
    overscan: 4,
  });
  const latest = useRef(selected);
  latest.current = selected;
  const toggle = useCallback(
    (mac: string) => {
      const next = new Set(latest.current);
      if (!next.delete(mac)) next.add(mac);
      setSelected(next);
    },
    [setSelected],
  );
  // Thousands of rows are not looked through in every frame of scrolling.
  const chosen = selected.size === 0 ? [] : rows.filter(({ mac }) => selected.has(mac));
  const allChosen = chosen.length > 0 && chosen.length === rows.length;
  return (
    <>
      {selectable && chosen.length > 0 ? (
        <BulkBar machines={chosen} images={images ?? []} onDone={() => setSelected(new Set())} />
      ) : null}
      {/* A grid of divs: rows of a real table cannot stand where the scrolling wants them. */}
      <div
        className={selectable ? 'rows' : 'rows rows-plain'}
        role="table"
        aria-label={t('lab.machines.title')}
        aria-rowcount={rows.length + 1}
      >
        <div className="rows-scroll" ref={scroller}>
          <div className="rows-head" role="rowgroup">
            <div className="row row-head" role="row" aria-rowindex={1}>
              {selectable ? (
                <span className="cell cell-check" role="columnheader">
                  <input
                    type="checkbox"
                    aria-label={t('lab.machines.selectAll')}
                    checked={allChosen}
                    ref={(box) => {
                      if (box) box.indeterminate = chosen.length > 0 && !allChosen;
                    }}
                    onChange={() => setSelected(allChosen ? new Set() : new Set(rows.map(({ mac }) => mac)))}
                  />
                </span>
              ) : null}
              {columns.map((column) => (
                <Head key={column} {...{ column, view, setView }} />
              ))}
            </div>
          </div>
          <div className="rows-all" role="rowgroup" style={{ height: virtual.getTotalSize() }}>
            {virtual.getVirtualItems().map(({ index, key, start }) => {
              const machine = rows[index];
              return machine === undefined ? null : (
                <Row
                  key={key}
                  machine={machine}
                  index={index}
                  start={start}
                  image={imageName(images, machine.image_sha256)}
                  selected={selected.has(machine.mac)}
                  toggle={selectable ? toggle : null}
                />
              );
            })}
          </div>
        </div>
      </div>
    </>
  );
}

interface HeadProps {
  readonly column: Column;
  readonly view: MachineView;
  readonly setView: (view: MachineView) => void;
}

function Head({ column, view, setView }: HeadProps) {
  const { t } = useTranslation();
  const sorted = view.sort === column;
  return (
    <span
      role="columnheader"
      className={`cell cell-${column}`}
      aria-sort={sorted ? (view.descending ? 'descending' : 'ascending') : 'none'}
    >
      <button
        type="button"
        className="head"
        title={t('lab.machines.sortBy', { column: t(`lab.machines.${column}`) })}
        onClick={() => setView({ ...view, sort: column, descending: sorted && !view.descending })}
      >
        {t(`lab.machines.${column}`)}
        {sorted ? view.descending ? <DownIcon size={14} /> : <UpIcon size={14} /> : null}
      </button>
    </span>
  );
}

interface RowProps {
  readonly machine: Machine;
  readonly index: number;
  readonly start: number;
  readonly image: string | null;
  readonly selected: boolean;
  readonly toggle: ((mac: string) => void) | null;
}

const Row = memo(function Row({ machine, index, start, image, selected, toggle }: RowProps) {
  const { t } = useTranslation();
  const { mac, hostname, state, boot_policy, last_seen_ip, last_seen_at, last_flashed_at, labels } = machine;
  return (
    <div
      className={selected ? 'row row-selected' : 'row'}
      role="row"
      aria-rowindex={index + 2}
      style={{ transform: `translateY(${start}px)` }}
    >
      {toggle === null ? null : (
        <Cell name="check">
          <input
            type="checkbox"
            aria-label={t('lab.machines.select', { mac })}
            checked={selected}
            onChange={() => toggle(mac)}
          />
        </Cell>
      )}
      <Cell name="mac">
        <Link href={`/machines/${mac}`} className="link mono">
          {mac}
        </Link>
      </Cell>
      <Cell name="hostname">
        <span className="cut">{hostname}</span>
        {Object.entries(labels)
          .slice(0, 2)
          .map(([name, value]) => (
            <span key={name} className="badge cut" title={value}>
              {shownText(value === '' ? name : `${name}=${value}`)}
            </span>
          ))}
      </Cell>
      <Cell name="phase">
        <Phase phase={state.phase} />
        {state.bytes !== null && state.total !== null && state.total > 0 ? (
          <span className="quiet">{Math.floor((100 * state.bytes) / state.total)}&nbsp;%</span>
        ) : null}
      </Cell>
      <Cell name="image">
        <span className={image === null ? 'quiet cut' : 'cut'} title={image ?? undefined}>
          {image === null ? t('lab.machines.noImage') : shownText(image)}
        </span>
      </Cell>
      <Cell name="policy">{t(`lab.policies.${boot_policy}`)}</Cell>
      <Cell name="address">{last_seen_ip}</Cell>
      <Cell name="seen">
        <Time at={last_seen_at} style="short" />
      </Cell>
      <Cell name="flashed">
        <Time at={last_flashed_at} style="short" />
      </Cell>
    </div>
  );
});

function Cell({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <span className={`cell cell-${name}`} role="cell">
      {children}
    </span>
  );
}
