import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { ImageEntry } from '../../../shared/contract/image.ts';
import { bootPolicies, type Machine } from '../../../shared/contract/machine.ts';
import { isWhole, type MachineView, wholeView } from '../../../shared/lab/machines.ts';
import { phases } from '../../../shared/machine/life.ts';
import { Button, IconButton } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { FilterIcon, SearchIcon, TrashIcon } from './icons.tsx';
import { Asked } from './parts/Asked.tsx';
import { Confirm } from './parts/Confirm.tsx';
import { Pick } from './parts/Pick.tsx';
import { savedViews, saveView, viewIn } from './view.ts';

interface Props {
  readonly view: MachineView;
  readonly setView: (view: MachineView) => void;
  readonly machines: readonly Machine[];
  readonly images: readonly ImageEntry[] | undefined;
}

/** Most labels that are offered. */
const mostLabels = 200;

export function MachineFilters({ view, setView, machines, images }: Props) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const labels = useMemo(() => labelsOf(machines), [machines]);
  const all = { key: '', text: t('lab.machines.allStates') };
  return (
    <search className="filters">
      <label className="search">
        <span className="for-readers">{t('lab.machines.search')}</span>
        <SearchIcon size={18} />
        <input
          type="search"
          className="search-input"
          placeholder={t('lab.machines.searchHint')}
          value={view.search}
          onChange={({ target }) => setView({ ...view, search: target.value })}
        />
      </label>
      <button
        type="button"
        className="button button-plain filters-more"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <FilterIcon size={16} />
        {t('lab.machines.filters')}
      </button>
      <div className={open ? 'filters-list filters-open' : 'filters-list'}>
        <Pick
          hidden
          label={t('lab.machines.phase')}
          value={view.phases.length > 1 ? several : (view.phases[0] ?? '')}
          options={[
            all,
            ...(view.phases.length > 1
              ? [{ key: several, text: view.phases.map((phase) => t(`lab.phases.${phase}`)).join(', ') }]
              : []),
            ...phases.map((key) => ({ key, text: t(`lab.phases.${key}`) })),
          ]}
          onChange={(key) => setView({ ...view, phases: phases.filter((phase) => phase === key) })}
        />
        <Pick
          hidden
          label={t('lab.machines.policy')}
          value={view.policies[0] ?? ''}
          options={[
            { key: '', text: t('lab.machines.allPolicies') },
            ...bootPolicies.map((key) => ({ key, text: t(`lab.policies.${key}`) })),
          ]}
          onChange={(key) => setView({ ...view, policies: bootPolicies.filter((policy) => policy === key) })}
        />
        <Pick
          hidden
          label={t('lab.machines.image')}
          value={view.image ?? ''}
          options={[
            { key: '', text: t('lab.machines.allImages') },
            ...(images ?? []).flatMap(({ sha256, name }) =>
              sha256 === null ? [] : [{ key: sha256, text: name }],
            ),
          ]}
          onChange={(key) => setView({ ...view, image: key === '' ? null : key })}
        />
        <Pick
          hidden
          label={t('lab.machines.task')}
          value={view.task ?? ''}
          options={[
            { key: '', text: t('lab.machines.allTasks') },
            { key: 'failed', text: t('lab.machines.taskFailed') },
          ]}
          onChange={(key) => setView({ ...view, task: key === 'failed' ? key : null })}
        />
        {labels.length === 0 ? null : (
          <Pick
            hidden
            label={t('lab.machines.label')}
            value={view.labels[0] ?? ''}
            options={[
              { key: '', text: t('lab.machines.allLabels') },
              ...labels.map((key) => ({ key, text: key })),
            ]}
            onChange={(key) => setView({ ...view, labels: key === '' ? [] : [key] })}
          />
        )}
        <Views view={view} setView={setView} />
        {isWhole(view) ? null : (
          <Button
            look="quiet"
            onPress={() => setView({ ...wholeView, sort: view.sort, descending: view.descending })}
          >
            {t('lab.machines.clear')}
          </Button>
        )}
      </div>
    </search>
  );
}

function labelsOf(machines: readonly Machine[]): readonly string[] {
  const found = new Set<string>();
  for (const { labels } of machines) {
    for (const [name, value] of Object.entries(labels)) {
      if (found.size < mostLabels) found.add(`${name}=${value}`);
    }
  }
  return [...found].sort();
}

/** A choice that only an address can make. */
const several = 'several';

const saving = '\u0001';

/** Views with names, kept in this browser. */
function Views({ view, setView }: ViewsProps) {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  const [name, setName] = useState('');
  const [views, setViews] = useState(savedViews);
  const address = Object.entries(views).find(([, text]) => sameView(viewIn(new URLSearchParams(text)), view));
  const current = address?.[0] ?? '';
  const save = async () => {
    saveView(name.trim(), view);
    setViews(savedViews());
    setName('');
    return true;
  };
  return (
    <>
      <Pick
        hidden
        label={t('lab.machines.views')}
        value={current}
        options={[
          { key: '', text: t('lab.machines.views') },
          ...Object.keys(views).map((key) => ({ key, text: key })),
          { key: saving, text: t('lab.machines.viewSave') },
        ]}
        onChange={(key) => {
          if (key === saving) setAsking(true);
          else setView(key === '' ? wholeView : viewIn(new URLSearchParams(views[key] ?? '')));
        }}
      />
      {current === '' ? null : (
        <Asked
          title={t('lab.machines.viewDeleteTitle', { name: current })}
          text={t('lab.machines.viewDeleteText')}
          act={t('lab.common.delete')}
          onAct={async () => {
            saveView(current, null);
            setViews(savedViews());
            return true;
          }}
        >
          {(open) => (
            <IconButton
              label={t('lab.machines.viewDelete', { name: current })}
              icon={<TrashIcon size={16} />}
              onPress={open}
            />
          )}
        </Asked>
      )}
      {asking ? (
        <Confirm
          title={t('lab.machines.viewSave')}
          act={t('lab.machines.viewSaveDo')}
          isReady={name.trim() !== ''}
          onAct={save}
          onClose={() => setAsking(false)}
        >
          <Field
            label={t('lab.machines.viewName')}
            value={name}
            onChange={setName}
            autoFocus
            maxLength={60}
          />
        </Confirm>
      ) : null}
    </>
  );
}
type ViewsProps = { readonly view: MachineView; readonly setView: (view: MachineView) => void };

const sameView = (one: MachineView, other: MachineView) => JSON.stringify(one) === JSON.stringify(other);
