import { useDeferredValue, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { chosenBy, isWhole, type MachineView } from '../../../../shared/lab/machines.ts';
import { PlusIcon } from '../../icons.tsx';
import { Button } from '../../parts/Button.tsx';
import { AddMachine } from '../AddMachine.tsx';
import { MachineIcon } from '../icons.tsx';
import { useImages } from '../images.ts';
import { MachineFilters } from '../MachineFilters.tsx';
import { MachineTable } from '../MachineTable.tsx';
import { loadAgain, useMachines } from '../machines.ts';
import { Empty } from '../parts/Empty.tsx';
import { Page } from '../parts/Page.tsx';
import { Refused } from '../parts/Refused.tsx';
import { RolloutCards } from '../Rollout.tsx';
import { useLab } from '../store.ts';
import { useView } from '../view.ts';

export function MachinesPage() {
  const { t } = useTranslation();
  const machines = useMachines();
  const { value: images } = useImages();
  const [view, setView] = useView();
  const [adding, setAdding] = useState(false);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const operates = useLab(({ scope }) => scope !== 'read');
  const wanted = useDeferredValue(view);
  const rows = useMemo(() => chosenBy(machines.all, wanted), [machines.all, wanted]);
  const total = machines.total ?? machines.all.length;
  const none = machines.state === 'whole' && total === 0;
  const add = operates ? (
    <Button icon={<PlusIcon size={16} />} onPress={() => setAdding(true)}>
      {t('lab.machines.add')}
    </Button>
  ) : null;
  return (
    <Page
      filled
      title={t('lab.machines.title')}
      actions={add}
      lead={<Count {...{ machines, rows, view, total }} />}
    >
      <RolloutCards />
      {machines.refusal === null ? null : <Refused refusal={machines.refusal} again={loadAgain} />}
      {none ? (
        <Empty
          icon={<MachineIcon size={40} />}
          title={t('lab.machines.empty')}
          hint={t('lab.machines.emptyHint')}
        />
      ) : (
        <>
          <MachineFilters {...{ view, setView, machines: machines.all, images }} />
          {rows.length === 0 && machines.state === 'whole' ? (
            <Empty title={t('lab.machines.nothing')} hint={t('lab.machines.nothingHint')} />
          ) : (
            <MachineTable {...{ rows, view, setView, images, selected, setSelected }} selectable={operates} />
          )}
        </>
      )}
      {adding ? <AddMachine onClose={() => setAdding(false)} /> : null}
    </Page>
  );
}

interface CountProps {
  readonly machines: ReturnType<typeof useMachines>;
  readonly rows: readonly unknown[];
  readonly view: MachineView;
  readonly total: number;
}

function Count({ machines, rows, view, total }: CountProps) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => new Intl.NumberFormat(i18n.language).format(value);
  if (machines.state === 'loading' && machines.all.length < total)
    return (
      <p className="quiet">
        {t('lab.machines.loading', { count: machines.all.length, total: number(total) })}
      </p>
    );
  return (
    <p className="quiet" data-shown={rows.length}>
      {isWhole(view)
        ? t('lab.machines.count', { count: total })
        : t('lab.machines.shown', { shown: number(rows.length), count: total })}
    </p>
  );
}
