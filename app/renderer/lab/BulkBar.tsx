import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { ImageEntry } from '../../../shared/contract/image.ts';
import type { ActionResult, Machine, MachineAction } from '../../../shared/contract/machine.ts';
import { Button } from '../parts/Button.tsx';
import { attempt } from './answer.ts';
import { ask } from './api.ts';
import { Confirm } from './parts/Confirm.tsx';
import { useLab } from './store.ts';

interface Props {
  readonly machines: readonly Machine[];
  readonly images: readonly ImageEntry[];
  readonly onDone: () => void;
}

type Act = 'arm' | 'disarm' | 'delete';
const acts: readonly Act[] = ['arm', 'disarm', 'delete'];
const destructive: ReadonlySet<Act> = new Set(['arm', 'delete']);

/** What can be done to all machines that are selected. */
export function BulkBar({ machines, onDone }: Props) {
  const { t } = useTranslation();
  const [act, setAct] = useState<Act | null>(null);
  const count = machines.length;
  return (
    <div className="bulk" role="toolbar" aria-label={t('lab.machines.selected', { count })}>
      <strong>{t('lab.machines.selected', { count })}</strong>
      {acts.map((name) => (
        <Button key={name} look={name === 'delete' ? 'danger' : 'plain'} onPress={() => setAct(name)}>
          {t(`lab.bulk.${name}`)}
        </Button>
      ))}
      <Button look="quiet" onPress={onDone}>
        {t('lab.machines.unselect')}
      </Button>
      {act === null ? null : (
        <Confirm
          danger={destructive.has(act)}
          title={t(`lab.bulk.${act}Title`, { count })}
          act={t(`lab.bulk.${act}`).replace('…', '')}
          {...(destructive.has(act) ? { typed: String(count) } : {})}
          onAct={() => run({ action: act, macs: machines.map(({ mac }) => mac), limit: count })}
          onClose={() => setAct(null)}
        >
          <p>{t(`lab.bulk.${act}Text`)}</p>
        </Confirm>
      )}
    </div>
  );
}

/** Does it, and tells how many were changed. */
export function run(body: MachineAction): Promise<boolean> {
  return attempt(async () => {
    const { changed, skipped }: ActionResult = await ask('POST /machines/actions', { body });
    const { say } = useLab.getState();
    say('good', 'lab.bulk.done', { count: changed.length });
    const [first] = skipped;
    if (first) say('bad', 'lab.bulk.skipped', { count: skipped.length, ...first });
  });
}
