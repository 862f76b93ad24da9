// biome-ignore-all lint/a11y/useSemanticElements: rows of a real table cannot stand where the scrolling wants them
// biome-ignore-all lint/a11y/useFocusableInteractive: what can be focused in a row is its link and its box

import { useVirtualizer } from '@tanstack/react-virtual';
import { type MouseEvent, useCallback, useMemo, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation, useRouter } from 'wouter';
import type { ImageEntry } from '../../../shared/contract/image.ts';
import type { Machine } from '../../../shared/contract/machine.ts';
import type { Column, MachineView } from '../../../shared/lab/machines.ts';
import { DownIcon } from '../icons.tsx';
import { BulkBar } from './BulkBar.tsx';
import { UpIcon } from './icons.tsx';
import { imageName } from './images.ts';
import { MachineRow, type RowSetting } from './MachineRow.tsx';
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
  const { t, i18n } = useTranslation();
  const { base } = useRouter();
  const [, navigate] = useLocation();
  const narrow = useNarrow();
  const scroller = useRef<HTMLDivElement>(null);
  const height = narrow ? heights.narrow : heights.wide;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    getItemKey: (index) => rows[index]?.mac ?? index,
    overscan: 2,
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
  const setting = useMemo<RowSetting>(() => {
    const open = (event: MouseEvent, mac: string) => {
      const elsewhere =
        event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.button !== 0;
      if (elsewhere) return;
      event.preventDefault();
      navigate(`/machines/${mac}`);
    };
    const href = (mac: string) => `${base}/machines/${mac}`;
    return { t, language: i18n.language, href, open, toggle: selectable ? toggle : null };
  }, [t, i18n.language, base, navigate, selectable, toggle]);
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
                <MachineRow
                  key={key}
                  machine={machine}
                  index={index}
                  start={start}
                  image={imageName(images, machine.image_sha256)}
                  selected={selected.has(machine.mac)}
                  setting={setting}
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
