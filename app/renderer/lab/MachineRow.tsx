// biome-ignore-all lint/a11y/useSemanticElements: rows of a real table cannot stand where the scrolling wants them
// biome-ignore-all lint/a11y/useFocusableInteractive: what can be focused in a row is its link and its box

import type { TFunction } from 'i18next';
import { type MouseEvent, memo, type ReactNode } from 'react';
import type { Machine } from '../../../shared/contract/machine.ts';
import { shownText } from '../../../shared/lab/shown.ts';
import { phaseMark } from './parts/Phase.tsx';
import { timeMark } from './parts/Time.tsx';

/** What all rows have in common. */
export interface RowSetting {
  readonly t: TFunction;
  readonly language: string;
  readonly href: (mac: string) => string;
  readonly open: (event: MouseEvent, mac: string) => void;
  /** Null where nothing can be chosen. */
  readonly toggle: ((mac: string) => void) | null;
}

interface Props {
  readonly machine: Machine;
  readonly index: number;
  /** Pixels from the first row. */
  readonly start: number;
  readonly image: string | null;
  readonly selected: boolean;
  readonly setting: RowSetting;
}

/** A machine in the table. Dozens are drawn in one frame of scrolling: it has no hooks and no components in it. */
export const MachineRow = memo(function MachineRow(props: Props) {
  const { machine, index, start, image, selected, setting } = props;
  const { t, language, href, open, toggle } = setting;
  const { mac, hostname, state, boot_policy, last_seen_ip, last_seen_at, last_flashed_at, labels } = machine;
  const never = t('lab.common.never');
  return (
    <div
      className={selected ? 'row row-selected' : 'row'}
      role="row"
      aria-rowindex={index + 2}
      style={{ transform: `translateY(${start}px)` }}
    >
      {toggle === null
        ? null
        : cell(
            'check',
            <input
              type="checkbox"
              aria-label={t('lab.machines.select', { mac })}
              checked={selected}
              onChange={() => toggle(mac)}
            />,
          )}
      {cell(
        'mac',
        <a href={href(mac)} className="link mono" onClick={(event) => open(event, mac)}>
          {mac}
        </a>,
      )}
      {cell(
        'hostname',
        <>
          <span className="cut">{hostname}</span>
          {Object.entries(labels)
            .slice(0, 2)
            .map(([name, value]) => (
              <span key={name} className="badge cut" title={value}>
                {shownText(value === '' ? name : `${name}=${value}`)}
              </span>
            ))}
        </>,
      )}
      {cell(
        'phase',
        <>
          {phaseMark(state.phase, t)}
          {state.bytes !== null && state.total !== null && state.total > 0 ? (
            <span className="quiet">{Math.floor((100 * state.bytes) / state.total)}&nbsp;%</span>
          ) : null}
        </>,
      )}
      {cell(
        'image',
        <span className={image === null ? 'quiet cut' : 'cut'} title={image ?? undefined}>
          {image === null ? t('lab.machines.noImage') : shownText(image)}
        </span>,
      )}
      {cell('policy', t(`lab.policies.${boot_policy}`))}
      {cell('address', last_seen_ip)}
      {cell('seen', timeMark(last_seen_at, 'short', never, language))}
      {cell('flashed', timeMark(last_flashed_at, 'short', never, language))}
    </div>
  );
});

function cell(name: string, children: ReactNode) {
  return (
    <span className={`cell cell-${name}`} role="cell">
      {children}
    </span>
  );
}
